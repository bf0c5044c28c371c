"""How an attempt stands: what the opener reads when the popup was closed, blocked or lost its way."""

from __future__ import annotations

import msgspec

from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt, Starter, overdue, state_after
from services.auth.domain.integration import Seen
from services.auth.repository import integrations
from services.auth.use_cases.oauth.found import end, find_attempt, require_starter


async def read_attempt(
    attempt_id: str, *, deps: Deps, starter: Starter, workspace: str | None
) -> tuple[Attempt, Seen | None]:
    """The integration once it is connected. Never a handle: only the opener is told it."""
    attempt = await find_attempt(attempt_id, deps=deps)
    # A key that names no subject is the application itself, asking about what it began.
    named = starter if starter.subject else Starter(principal=starter.principal, subject=attempt.starter.subject)
    require_starter(attempt, named, workspace)
    attempt = await _settle(attempt, deps=deps)
    if attempt.state != "connected" or attempt.integration_id is None:
        return attempt, None
    async with deps.db.transaction(attempt.workspace_id) as tx:
        return attempt, await integrations.find_seen(tx, attempt.integration_id)


async def _settle(attempt: Attempt, *, deps: Deps) -> Attempt:
    """Ends an attempt that has come to its end by itself; one that moved on meanwhile is read again."""
    waits = attempt.ticket is not None and await deps.states.see(attempt.ticket) is not None
    error = overdue(attempt, deps.clock.now(), waits=waits)
    if error is None:
        return attempt
    if not await end(attempt, error, deps=deps):
        return await find_attempt(attempt.id, deps=deps)
    return msgspec.structs.replace(attempt, state=state_after(error), code=error.code, detail=error.detail, ticket=None)
