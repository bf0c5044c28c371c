"""What happens after the teardown's deadline: durable jobs, each keyed by what it is about."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.database.transaction import Transaction
from libs.common.jobs.later import run_later
from services.auth.deps import Deps
from services.auth.repository import workspaces

ERASE_GRANT = "erase_grant"
ERASE_WORKSPACE = "erase_workspace"


async def erase_grant_later(tx: Transaction, *, deps: Deps, workspace: str, integration_id: str) -> None:
    payload = {"workspace_id": workspace, "integration_id": integration_id}
    await run_later(tx, ERASE_GRANT, integration_id, payload, _deadline(deps))


async def erase_grant_now(tx: Transaction, *, deps: Deps, workspace: str, integration_id: str) -> None:
    """By the same job, ahead of its deadline: the provider is asked there, never in a handler."""
    payload = {"workspace_id": workspace, "integration_id": integration_id}
    await run_later(tx, ERASE_GRANT, integration_id, payload, deps.clock.now())


async def erase_workspace_later(tx: Transaction, *, deps: Deps, workspace: str) -> None:
    await run_later(tx, ERASE_WORKSPACE, workspace, {"workspace_id": workspace}, _deadline(deps))


async def teardown_acknowledged(tx: Transaction, *, deps: Deps, workspace: str) -> None:
    """Nothing is left to lend: a workspace that is being deleted need not wait for its deadline."""
    if await workspaces.is_deleting(tx):
        await run_later(tx, ERASE_WORKSPACE, workspace, {"workspace_id": workspace}, deps.clock.now())


def _deadline(deps: Deps) -> datetime:
    return deps.clock.now() + timedelta(seconds=deps.settings.teardown_seconds)
