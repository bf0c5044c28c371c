"""The first step of every change: hold the workspace, lock the integration, refuse what is gone."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import NotFound
from services.auth.domain.integration import Integration, Seen
from services.auth.domain.refusals import Disconnected, WorkspaceUnknown
from services.auth.repository import integrations, workspaces


async def require_workspace(tx: Transaction) -> None:
    """Also keeps a deletion of it out until the transaction ends."""
    if not await workspaces.hold_workspace(tx):
        raise WorkspaceUnknown("unknown workspace: create it with PUT /v1/workspaces/{id}")


async def lock_live(tx: Transaction, integration_id: str) -> Integration:
    await require_workspace(tx)
    found = await integrations.lock_integration(tx, integration_id)
    if found is None:
        raise NotFound
    if found.disconnected_at is not None:
        raise Disconnected("this integration is disconnected; connect the provider again")
    return found


async def see(tx: Transaction, integration_id: str) -> Seen:
    found = await integrations.find_seen(tx, integration_id)
    if found is None or await workspaces.workspace_created_at(tx) is None:
        raise NotFound
    return found
