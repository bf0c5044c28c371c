"""A workspace is remembered when something is connected in it, and erased whole."""

from __future__ import annotations

from services.chunker.deps import Deps
from services.chunker.repository import workspaces


async def remember_workspace(workspace: str, deps: Deps) -> None:
    async with deps.db.transaction(workspace) as tx:
        await workspaces.remember(tx, workspace)


async def erase_workspace(workspace: str, deps: Deps) -> None:
    async with deps.db.transaction(workspace) as tx:
        await workspaces.erase(tx, workspace)
