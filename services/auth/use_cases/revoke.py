"""Ending an OAuth grant where it was given: once the teardown no longer needs it, or when no integration keeps it."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import DependencyDown, SluiceError
from libs.common.telemetry.logging import get_logger
from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt
from services.auth.repository import attempts, audit, credentials, integrations
from services.auth.use_cases.grants import Held, hold_grant

log = get_logger(__name__)


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


async def give_back(token: str, attempt: Attempt, *, deps: Deps) -> None:
    """What an ended attempt was granted and nothing keeps. A refusal is told to the log and the audit log alone: the
    caller has an error of its own to raise.
    """
    try:
        if await _was_kept(attempt, deps=deps):
            return
        outcome = await _revoked(token, attempt, deps=deps)
        async with deps.db.transaction(attempt.workspace_id) as tx:
            detail = {"attempt": attempt.id, "provider": attempt.provider}
            await audit.add_audit(tx, actor="auth", action="grant.revoked", outcome=outcome, detail=detail)
    except SluiceError as error:
        log.warning("grant_not_accounted_for", provider=attempt.provider, attempt=attempt.id, code=error.code)


async def _was_kept(attempt: Attempt, *, deps: Deps) -> bool:
    """The commit may have succeeded although its answer was lost."""
    async with deps.db.transaction(attempt.workspace_id) as tx:
        found = await attempts.find_attempt(tx, attempt.id)
    return found is not None and found.state == "connected"


async def _revoked(token: str, attempt: Attempt, *, deps: Deps) -> str:
    """How it went: "done", or the code of the refusal."""
    try:
        await deps.providers.revoke(deps.providers.known(attempt.provider), token)
    except SluiceError as error:
        log.warning("grant_left_alive", provider=attempt.provider, attempt=attempt.id, code=error.code)
        return error.code
    log.info("grant_given_back", provider=attempt.provider, attempt=attempt.id)
    return "done"
