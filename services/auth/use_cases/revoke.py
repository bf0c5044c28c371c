"""Ending an OAuth grant where it was given, once the teardown no longer needs it."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import DependencyDown, SluiceError
from services.auth.deps import Deps
from services.auth.repository import audit, credentials, integrations
from services.auth.use_cases.grants import Held, hold_grant


async def revoke_grant(*, deps: Deps, workspace: str, integration_id: str) -> None:
    """A personal token is its owner's and stays. What the provider refuses is told to the audit log, and to no one."""
    try:
        async with deps.db.transaction(workspace) as tx:
            held = await _held(tx, integration_id, deps=deps)
        if held is None:
            return
        await deps.providers.revoke(deps.providers.known(held.integration.provider), held.token)
        outcome = "done"
    except DependencyDown:
        raise
    except SluiceError as error:
        outcome = error.code
    async with deps.db.transaction(workspace) as tx:
        await audit.add_audit(tx, actor="auth", action="grant.revoked", outcome=outcome, integration_id=integration_id)


async def _held(tx: Transaction, integration_id: str, *, deps: Deps) -> Held | None:
    """None unless there is a grant of a disconnected integration that was given by consent."""
    found = await integrations.find_integration(tx, integration_id)
    if found is None or found.disconnected_at is None:
        return None
    if integration_id not in await credentials.consented(tx):
        return None
    return await hold_grant(tx, found, deps=deps)
