"""The start hop: the browser that will come back is marked, and sent to the provider's consent page."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec

from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt, require_startable, seconds_left
from services.auth.domain.refusals import StateUnknown
from services.auth.repository import attempts
from services.auth.states import Waiting, hash_of, new_ticket
from services.auth.use_cases.oauth.found import find_attempt, new_state
from services.auth.vaulting import seal_for

TRIES = 3  # a reload overtakes the hop that it cancelled, which goes on here all the same


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser goes, and the mark that it has to bring back."""

    location: str
    browser: str

    def __repr__(self) -> str:
        return "Departure()"


async def start_consent(attempt_id: str, *, deps: Deps, browser: str | None) -> Departure:
    """A reload starts anew: only the newest state is waited for. A browser keeps its mark, for its other popups."""
    for _ in range(TRIES):
        departure = await _depart(await find_attempt(attempt_id, deps=deps), browser or new_ticket(), deps=deps)
        if departure is not None:
            return departure
    raise StateUnknown


async def _depart(attempt: Attempt, mark: str, *, deps: Deps) -> Departure | None:
    """None when another hop of this attempt came in between."""
    require_startable(attempt, deps.clock.now())
    manifest = deps.providers.known(attempt.provider)
    registration = deps.providers.registrations.client(manifest, attempt.redirect_uri)
    state, verifier = new_state(attempt), new_ticket()
    if not await _await_state(attempt, state, verifier, mark, deps=deps):
        return None
    location = deps.providers.facet(manifest).authorize_url(
        registration,
        state=state,
        scopes=manifest.oauth.scopes if manifest.oauth else (),
        code_challenge=challenge_of(verifier),
    )
    return Departure(location=location, browser=mark)


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636 section 4.2); `plain` is never sent."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def _await_state(attempt: Attempt, state: str, verifier: str, mark: str, *, deps: Deps) -> bool:
    """Redis first: a ticket that Postgres waits for is there to be found, or was lost."""
    ticket = hash_of(state)
    async with deps.db.transaction(attempt.workspace_id) as tx:
        sealed = await seal_for(tx, attempt, "verifier", verifier, deps=deps)
    waiting = Waiting(verifier=sealed, browser=hash_of(mark))
    await deps.states.put(ticket, waiting, seconds_left(attempt, deps.clock.now()))
    async with deps.db.transaction(attempt.workspace_id) as tx:
        won = await attempts.await_ticket(tx, attempt, ticket=ticket, expires_at=attempt.expires_at)
    superseded = attempt.ticket if won else ticket
    if superseded is not None:
        await deps.states.drop(superseded)
    return won
