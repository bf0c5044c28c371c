"""Workspaces: made by the application's own id, and erased for good."""

from __future__ import annotations

from datetime import datetime

from libs.common.database.transaction import Transaction
from libs.common.events import WorkspaceDeleted
from services.auth.deps import Deps
from services.auth.domain.input import check_workspace_id
from services.auth.domain.refusals import WorkspaceErased, WorkspaceUnknown
from services.auth.repository import audit, credentials, workspaces
from services.auth.use_cases.disconnect import disconnect_all
from services.auth.use_cases.later import erase_workspace_later
from services.auth.use_cases.revoke import revoke_grant

# What the others must still hear of a workspace after its rows are gone.
TOLD_AFTERWARDS = ("integration.disconnected", "workspace.deleted")


async def put_workspace(workspace: str, *, deps: Deps, actor: str) -> tuple[datetime, bool]:
    """(created at, whether it is new). An erased id never comes back: late events of its past would fill it again."""
    async with deps.db.transaction(check_workspace_id(workspace)) as tx:
        if await workspaces.is_erased(tx):
            raise WorkspaceErased("this workspace was erased; its id cannot be used again, choose another one")
        is_new = await workspaces.add_workspace(tx)
        created_at = await workspaces.workspace_created_at(tx)
        if created_at is None:
            raise WorkspaceErased("this workspace is being erased; its id cannot be used again, choose another one")
        if is_new:
            await audit.add_audit(tx, actor=actor, action="workspace.created")
        return created_at, is_new


async def delete_workspace(workspace: str, *, deps: Deps, actor: str) -> None:
    """Gone for every caller at once; grants stay lendable for teardown until acknowledged or the deadline."""
    async with deps.db.transaction(check_workspace_id(workspace)) as tx:
        if not await workspaces.begin_deleting(tx):
            raise WorkspaceUnknown("unknown workspace")
        await audit.add_audit(tx, actor=actor, action="workspace.delete_asked")
        await disconnect_all(tx, deps=deps, cause="workspace_deleted")
        if await credentials.holds_credentials(tx):
            await erase_workspace_later(tx, deps=deps, workspace=workspace)
        else:
            await _erase(tx, workspace)


async def finish_erasure(workspace: str, *, deps: Deps) -> None:
    """Nothing of a grant is lent from here on. A repeat changes nothing."""
    async with deps.db.transaction(workspace) as tx:
        left = await credentials.consented(tx) if await workspaces.is_deleting(tx) else []
    for integration_id in left:
        await revoke_grant(deps=deps, workspace=workspace, integration_id=integration_id)
    async with deps.db.transaction(workspace) as tx:
        if await workspaces.lock_deleting(tx):
            await _erase(tx, workspace)


async def _erase(tx: Transaction, workspace: str) -> None:
    version = await workspaces.erase_workspace_rows(tx, keep_topics=TOLD_AFTERWARDS)
    await tx.emit(WorkspaceDeleted(workspace_id=workspace, version=version))
    await audit.add_audit(tx, actor="auth", action="workspace.erased")
