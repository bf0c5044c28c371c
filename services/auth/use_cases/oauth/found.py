"""Finding an attempt by what a caller holds, and ending it: the two things that every step does."""

from __future__ import annotations

from libs.common.errors import NotFound, SluiceError
from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt, Starter, state_after
from services.auth.domain.refusals import StateLost, StateUnknown
from services.auth.repository import attempts, audit
from services.auth.states import Waiting, new_ticket


def new_state(attempt: Attempt) -> str:
    """The attempt's id stands before the secret, so that an attempt is found when Redis has forgotten it."""
    return f"{attempt.id}.{new_ticket()}"


async def find_attempt(attempt_id: str, *, deps: Deps) -> Attempt:
    workspace = await deps.db.locate("oauth_attempt", attempt_id)
    if workspace is None:
        raise NotFound
    async with deps.db.transaction(workspace) as tx:
        found = await attempts.find_attempt(tx, attempt_id)
    if found is None:
        raise NotFound
    return found


async def find_by_state(state: str, *, deps: Deps) -> Attempt:
    """Raises StateUnknown for what `new_state` never made, NotFound for an attempt that is not here."""
    attempt_id, dot, secret = state.partition(".")
    if not dot or not attempt_id or not secret:
        raise StateUnknown
    return await find_attempt(attempt_id, deps=deps)


def require_starter(attempt: Attempt, starter: Starter, workspace: str | None) -> None:
    """Somebody else's attempt looks like one that does not exist. `workspace` None: a caller of every workspace."""
    if attempt.starter != starter or workspace not in (None, attempt.workspace_id):
        raise NotFound


async def waiting_for(attempt: Attempt, ticket: str, *, deps: Deps) -> Waiting:
    """Looks without taking. What Redis lost ends the attempt; what another request took is used, not lost."""
    waiting = await deps.states.see(ticket)
    if waiting is None:
        lost = StateLost()
        raise lost if await end(attempt, lost, deps=deps) else StateUnknown
    return waiting


async def end(attempt: Attempt, error: SluiceError, *, deps: Deps) -> bool:
    """False when the attempt went another way meanwhile. Nothing of it is left in Redis."""
    async with deps.db.transaction(attempt.workspace_id) as tx:
        ended = await attempts.end_attempt(tx, attempt, state_after(error), code=error.code, detail=error.detail)
        if ended:
            await audit.add_audit(
                tx,
                actor=attempt.starter.principal,
                action="oauth.ended",
                outcome=error.code,
                integration_id=attempt.integration_id,
                detail={"attempt": attempt.id},
            )
    if ended and attempt.ticket is not None and attempt.claimed_at is None:
        await deps.states.drop(attempt.ticket)
    return ended
