"""Disconnecting: told at once, the grant lendable for teardown until it is acknowledged or the deadline passes."""

from __future__ import annotations

from typing import Literal

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.errors import NotFound
from libs.common.events import IntegrationDisconnected
from services.auth.deps import Deps
from services.auth.domain.integration import Integration
from services.auth.repository import audit, credentials, integrations
from services.auth.use_cases.held import require_workspace
from services.auth.use_cases.later import erase_grant_later, teardown_acknowledged
from services.auth.use_cases.revoke import revoke_grant

Cause = Literal["user", "workspace_deleted"]


async def disconnect_integration(*, deps: Deps, workspace: str, integration_id: str, actor: str) -> None:
    """A repeat changes nothing. The type may be connected again at once."""
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        found = await integrations.lock_integration(tx, integration_id)
        if found is None:
            raise NotFound
        if found.disconnected_at is None:
            await _disconnect(tx, found, deps=deps, cause="user")
            await erase_grant_later(tx, deps=deps, workspace=workspace, integration_id=found.id)
            await audit.add_audit(tx, actor=actor, action="integration.disconnected", integration_id=found.id)


async def disconnect_all(tx: Transaction, *, deps: Deps, cause: Cause) -> None:
    for found in await integrations.lock_live_integrations(tx):
        await _disconnect(tx, found, deps=deps, cause=cause)


async def erase_grant(*, deps: Deps, workspace: str, integration_id: str) -> None:
    """The end of the teardown: revoked if the provider lets us, erased in any case. A repeat changes nothing."""
    try:
        await revoke_grant(deps=deps, workspace=workspace, integration_id=integration_id)
    finally:
        await _erase(deps=deps, workspace=workspace, integration_id=integration_id)


async def _erase(*, deps: Deps, workspace: str, integration_id: str) -> None:
    async with deps.db.transaction(workspace) as tx:
        found = await integrations.lock_integration(tx, integration_id)
        if found is None or found.disconnected_at is None:
            return
        if await credentials.erase_credentials(tx, integration_id):
            await audit.add_audit(tx, actor="auth", action="credential.erased", integration_id=integration_id)
        if not await credentials.holds_credentials(tx):
            await teardown_acknowledged(tx, deps=deps, workspace=workspace)


async def _disconnect(tx: Transaction, found: Integration, *, deps: Deps, cause: Cause) -> None:
    saved = await integrations.save_integration(tx, msgspec.structs.replace(found, disconnected_at=deps.clock.now()))
    await tx.emit(
        IntegrationDisconnected(
            workspace_id=saved.workspace_id,
            integration_id=saved.id,
            provider=saved.provider,
            version=saved.version,
            cause=cause,
        )
    )
