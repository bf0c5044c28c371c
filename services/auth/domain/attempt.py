"""An attempt to connect by OAuth: five states, and the pure rules that move it from one to the next.

pending ─┬→ connected   the one token request gave a grant of the right account
         ├→ denied      the user said no
         ├→ failed      the provider refused, Redis lost the state, or we died while asking; `code` says which
         └→ expired     nobody came back in time
While it is pending it waits for one ticket: first the state, then the handle of the parked code, then for our answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from libs.common.errors import SluiceError
from libs.common.provider.manifest import OAuthClient
from services.auth.domain.refusals import (
    AttemptExpired,
    AttemptInterrupted,
    ConsentDenied,
    ConsentFailed,
    IssuerMismatch,
    StateLost,
    StateUnknown,
)

State = Literal["pending", "connected", "denied", "failed", "expired"]
Callback = Literal["sluice", "application"]

LONGEST_SECONDS = 600
PARKED_SECONDS = 120
# Longer than a token request and a check may take: a claim this old belongs to a process that died.
ABANDONED = timedelta(seconds=120)


class Starter(msgspec.Struct, frozen=True, kw_only=True):
    """Who began: the caller as it proved itself, and the application's own user that it acts for ("" = none named)."""

    principal: str
    subject: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`ticket` is the hash of what it waits for; `origin` the opener's; `asked` what is to be connected, as JSON."""

    id: str
    workspace_id: str
    provider: str
    starter: Starter
    ctx: str
    callback: Callback
    redirect_uri: str
    redirect_url: str
    origin: str
    created_at: datetime
    expires_at: datetime
    asked: bytes = b""
    reconnect: bool = False
    integration_id: str | None = None
    state: State = "pending"
    code: str | None = None
    detail: str | None = None
    ticket: str | None = None
    parked_at: datetime | None = None
    claimed_at: datetime | None = None


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider sends back through the browser: a code or an error, never both (RFC 6749 section 4.1.2)."""

    state: str
    code: str = ""
    error: str = ""
    iss: str = ""

    def __repr__(self) -> str:
        return "Returned()"


def require_startable(attempt: Attempt, now: datetime) -> None:
    """A popup may be reloaded until consent has come back."""
    _require_open(attempt, now)
    if attempt.parked_at is not None:
        raise StateUnknown


def require_ticket(attempt: Attempt, ticket: str, now: datetime) -> None:
    """Raises StateUnknown for a ticket that the attempt does not wait for: a used one, too."""
    _require_open(attempt, now)
    if attempt.ticket != ticket:
        raise StateUnknown


def _require_open(attempt: Attempt, now: datetime) -> None:
    if attempt.code == StateLost.code:
        raise StateLost
    if attempt.state == "expired" or (attempt.state == "pending" and now >= attempt.expires_at):
        raise AttemptExpired
    if attempt.state != "pending" or attempt.claimed_at is not None:
        raise StateUnknown


def overdue(attempt: Attempt, now: datetime, *, waits: bool) -> SluiceError | None:
    """The end that a pending attempt has come to by itself. `waits`: what its ticket names is still there."""
    if attempt.state != "pending":
        return None
    if attempt.claimed_at is not None:
        return AttemptInterrupted() if now >= attempt.claimed_at + ABANDONED else None
    if now >= attempt.expires_at:
        return AttemptExpired()
    return StateLost() if attempt.ticket is not None and not waits else None


def state_after(error: SluiceError) -> State:
    if isinstance(error, ConsentDenied):
        return "denied"
    return "expired" if isinstance(error, AttemptExpired) else "failed"


def refusal_of(returned: Returned) -> SluiceError | None:
    """RFC 6749 section 4.1.2.1. Only a plain error name is told on: the rest of the query is anybody's text."""
    if not returned.error:
        return None
    if returned.error == "access_denied":
        return ConsentDenied("the user did not give consent")
    plain = len(returned.error) <= 64 and returned.error.replace("_", "").isalnum() and returned.error.isascii()
    return ConsentFailed(f"the provider answered {returned.error}" if plain else "")


def check_issuer(client: OAuthClient, returned: Returned) -> None:
    """RFC 9207 section 2.4: compared as plain text, and required once the provider advertises it."""
    if client.issuer and returned.iss != client.issuer:
        raise IssuerMismatch


def missing_scopes(client: OAuthClient, granted: Sequence[str]) -> tuple[str, ...]:
    """What was asked for and not granted; a granted scope covers what the provider folds into it."""
    covered = {*granted, *(scope for one in granted for scope in client.covers.get(one, ()))}
    return tuple(scope for scope in client.scopes if scope not in covered)


def seconds_left(attempt: Attempt, now: datetime) -> int:
    """Whole seconds, rounded up: a key in Redis never ends before the attempt that waits for it."""
    return -((now - attempt.expires_at) // timedelta(seconds=1))
