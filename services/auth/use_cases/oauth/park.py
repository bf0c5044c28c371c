"""The way back to us: the code is parked sealed, and the opener alone is told how to have it exchanged."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from libs.common.errors import SluiceError
from libs.common.security.signing import constant_time_equal
from services.auth.deps import Deps
from services.auth.domain.attempt import (
    PARKED_SECONDS,
    Attempt,
    Returned,
    check_issuer,
    refusal_of,
    require_ticket,
)
from services.auth.domain.refusals import ConsentDenied, StartedElsewhere, StateUnknown
from services.auth.repository import attempts
from services.auth.states import Waiting, hash_of, new_ticket
from services.auth.use_cases.oauth.found import end, find_by_state, waiting_for
from services.auth.vaulting import seal_for


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the opener's page is told: an opaque handle, or an error; to its exact origin and to nobody else."""

    attempt_id: str
    origin: str
    redirect_url: str
    handle: str = ""
    error: str = ""

    def __repr__(self) -> str:
        return f"Told(attempt_id={self.attempt_id!r})"


async def receive_consent(returned: Returned, *, deps: Deps, ctx: str, browser: str | None) -> Told:
    """Nothing is used up before the browser has shown the mark that the start hop gave it."""
    attempt = await find_by_state(returned.state, deps=deps)
    ticket = hash_of(returned.state)
    require_ticket(attempt, ticket, deps.clock.now())
    if attempt.callback != "sluice" or ctx != attempt.ctx:
        raise StateUnknown
    waiting = await waiting_for(attempt, ticket, deps=deps)
    if browser is None or not constant_time_equal(hash_of(browser).encode(), waiting.browser.encode()):
        raise StartedElsewhere
    manifest = deps.providers.known(attempt.provider)
    if manifest.oauth is not None:
        check_issuer(manifest.oauth, returned)
    refusal = refusal_of(returned)
    if refusal is not None:
        return await _refused(attempt, refusal, deps=deps)
    return await _park(attempt, waiting, returned.code, deps=deps)


async def _refused(attempt: Attempt, refusal: SluiceError, *, deps: Deps) -> Told:
    if not await end(attempt, refusal, deps=deps):
        raise StateUnknown
    return _told(attempt, error="denied" if isinstance(refusal, ConsentDenied) else "failed")


async def _park(attempt: Attempt, waiting: Waiting, code: str, *, deps: Deps) -> Told:
    """Until the row waits for the handle, a callback that died may be asked again; after it, the attempt expires."""
    now, handle = deps.clock.now(), new_ticket()
    async with deps.db.transaction(attempt.workspace_id) as tx:
        sealed = await seal_for(tx, attempt, "code", code, deps=deps)
    parked = Waiting(verifier=waiting.verifier, code=sealed)
    await deps.states.put(hash_of(handle), parked, PARKED_SECONDS)
    async with deps.db.transaction(attempt.workspace_id) as tx:
        expires_at = now + timedelta(seconds=PARKED_SECONDS)
        won = await attempts.await_ticket(tx, attempt, ticket=hash_of(handle), expires_at=expires_at, parked_at=now)
    if not won:
        await deps.states.drop(hash_of(handle))
        raise StateUnknown
    if attempt.ticket is not None:
        await deps.states.drop(attempt.ticket)
    return _told(attempt, handle=handle)


def _told(attempt: Attempt, *, handle: str = "", error: str = "") -> Told:
    return Told(
        attempt_id=attempt.id, origin=attempt.origin, redirect_url=attempt.redirect_url, handle=handle, error=error
    )
