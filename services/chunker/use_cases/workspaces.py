"""A workspace is remembered when something is connected in it, and erased whole."""

from __future__ import annotations

from datetime import UTC, datetime

from libs.common.database.engine import Database
from libs.common.jobs import run_later
from services.chunker.deps import Deps
from services.chunker.repository import workspaces

ERASE_REST = "erase_rest"


async def remember_workspace(workspace: str, deps: Deps) -> None:
    async with deps.db.transaction(workspace) as tx:
        await workspaces.remember(tx, workspace)


async def erase_workspace(workspace: str, deps: Deps) -> None:
    """From now on nothing of it is found, and nothing is written; a job clears away what is too much for one step."""
    async with deps.db.transaction(workspace) as tx:
        if await workspaces.erase(tx, workspace):
            await run_later(tx, ERASE_REST, "", {}, datetime.now(UTC))


async def erase_rest(db: Database, workspace: str) -> None:
    """In steps, of which each stays done."""
    left = True
    while left:
        async with db.transaction(workspace) as tx:
            left = await workspaces.erase_some(tx, workspace)
