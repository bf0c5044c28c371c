"""Where an attempt stands and where it may go, as pure functions of its row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.errors import ProviderUnavailable, SluiceError
from libs.common.provider.manifest import OAuthClient
from services.auth.domain.attempt import (
    Attempt,
    Returned,
    Starter,
    check_issuer,
    missing_scopes,
    overdue,
    refusal_of,
    require_startable,
    require_ticket,
    seconds_left,
    state_after,
)
from services.auth.domain.refusals import (
    AttemptExpired,
    AttemptInterrupted,
    ConsentDenied,
    ConsentFailed,
    IssuerMismatch,
    StateLost,
    StateUnknown,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
FRESH = Attempt(
    id="a", workspace_id="w", provider="tracker", starter=Starter(principal="key:1"), ctx="tracker",
    callback="sluice", redirect_uri="https://s.example/v1/oauth/callback/tracker", redirect_url="https://app.example/",
    origin="https://app.example", created_at=AT, expires_at=AT + timedelta(seconds=600),
)  # fmt: skip
STARTED = {"ticket": "t"}
PARKED = {"ticket": "h", "parked_at": AT}
CLAIMED = {**PARKED, "claimed_at": AT}
LATE = AT + timedelta(seconds=600)


def attempt(**facts: Any) -> Attempt:
    return msgspec.structs.replace(FRESH, **facts)


@pytest.mark.parametrize(
    ("facts", "now", "waits", "expected"),
    [
        ({}, AT, False, None),
        ({}, LATE, False, AttemptExpired),
        (STARTED, AT, True, None),
        (STARTED, AT, False, StateLost),
        (STARTED, LATE, True, AttemptExpired),
        (STARTED, LATE, False, AttemptExpired),
        (PARKED, AT, False, StateLost),
        (CLAIMED, AT, False, None),
        (CLAIMED, AT + timedelta(seconds=119), False, None),
        (CLAIMED, AT + timedelta(seconds=120), False, AttemptInterrupted),
        *[({**STARTED, "state": ended}, LATE, False, None) for ended in ("connected", "denied", "failed", "expired")],
    ],
)
def test_pending_attempt_ends_by_itself(
    facts: dict[str, Any], now: datetime, waits: bool, expected: type[SluiceError] | None
) -> None:
    found = overdue(attempt(**facts), now, waits=waits)
    assert (None if found is None else type(found)) is expected


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        ({}, AT, StateUnknown),
        ({"ticket": "other"}, AT, StateUnknown),
        (STARTED, LATE, AttemptExpired),
        ({**STARTED, "claimed_at": AT}, AT, StateUnknown),
        ({"state": "connected"}, AT, StateUnknown),
        ({"state": "connected"}, LATE, StateUnknown),
        ({"state": "denied", "code": "oauth_denied"}, AT, StateUnknown),
        ({"state": "expired", "code": "oauth_attempt_expired"}, AT, AttemptExpired),
        ({"state": "failed", "code": "oauth_state_lost"}, AT, StateLost),
        ({"state": "failed", "code": "oauth_refused"}, AT, StateUnknown),
    ],
)
def test_ticket_that_is_not_waited_for_is_refused(
    facts: dict[str, Any], now: datetime, expected: type[SluiceError]
) -> None:
    with pytest.raises(expected):
        require_ticket(attempt(**facts), "t", now)


def test_popup_may_be_reloaded_until_consent_has_come_back() -> None:
    require_ticket(attempt(**STARTED), "t", AT)
    for facts in ({}, STARTED):
        require_startable(attempt(**facts), AT)
    for facts in (PARKED, CLAIMED, {"state": "connected"}):
        with pytest.raises(StateUnknown):
            require_startable(attempt(**facts), AT)
    with pytest.raises(AttemptExpired):
        require_startable(attempt(), LATE)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConsentDenied(), "denied"),
        (AttemptExpired(), "expired"),
        (StateLost(), "failed"),
        (ProviderUnavailable(), "failed"),
    ],
)
def test_error_decides_the_state(error: SluiceError, state: str) -> None:
    assert state_after(error) == state


@pytest.mark.parametrize(
    ("error", "expected"),
    [("", None), ("access_denied", ConsentDenied), ("server_error", ConsentFailed), ("<script>", ConsentFailed)],
)
def test_refusal_of_the_consent_page_is_typed(error: str, expected: type[SluiceError] | None) -> None:
    found = refusal_of(Returned(state="s", error=error))
    assert (None if found is None else type(found)) is expected
    assert "<" not in (found.detail if found else "")


OAUTH = OAuthClient(
    authorize_url="https://as.example/a", token_url="https://as.example/t", scopes=("repo", "read:user")
)
ISSUING = msgspec.structs.replace(OAUTH, issuer="https://as.example")


@pytest.mark.parametrize(
    "iss",
    ["", "https://as.example/", "https://as.example:443", "HTTPS://as.example", "https://AS.example", "http://as.example",
     "https://as.example.evil.example", "https://as.example%2f", " https://as.example", "https://as.example#",
     "as.example"],
)  # fmt: skip
def test_issuer_is_compared_as_plain_text(iss: str) -> None:
    with pytest.raises(IssuerMismatch):
        check_issuer(ISSUING, Returned(state="s", code="c", iss=iss))
    check_issuer(ISSUING, Returned(state="s", code="c", iss="https://as.example"))
    check_issuer(OAUTH, Returned(state="s", code="c", iss=iss))


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (("repo", "read:user"), ()),
        (("user", "repo", "gist"), ()),
        (("repo",), ("read:user",)),
        (("public_repo", "read:user"), ("repo",)),
        ((), ("repo", "read:user")),
    ],
)
def test_granted_scopes_cover_what_was_asked(granted: tuple[str, ...], missing: tuple[str, ...]) -> None:
    client = msgspec.structs.replace(OAUTH, covers={"user": ("read:user", "user:email"), "repo": ("public_repo",)})
    assert missing_scopes(client, granted) == missing


@pytest.mark.parametrize(("passed", "left"), [(0, 600), (0.2, 600), (599.5, 1), (600, 0), (601, -1)])
def test_seconds_left_are_rounded_up(passed: float, left: int) -> None:
    assert seconds_left(FRESH, AT + timedelta(seconds=passed)) == left


def test_nothing_secret_is_printed() -> None:
    assert "canary" not in repr(Returned(state="canary", code="canary"))
