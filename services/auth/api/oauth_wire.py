"""Bodies of the OAuth routes: camelCase, typed, and nothing in them that could finish somebody else's consent."""

from __future__ import annotations

from datetime import datetime

from libs.common.http.wire import Wire
from services.auth.api.wire import IntegrationWire, WishBody, integration_wire
from services.auth.domain.attempt import Attempt, Callback, State
from services.auth.domain.integration import Seen


class BeginBody(WishBody, kw_only=True):
    """`redirectUrl` is the opener's page, on an allowed origin. `callback` says where the provider sends the browser:
    to Sluice, or to the application's own page (<PROVIDER>_INTEGRATION_REDIRECT_URI); left out, the settings decide.
    """

    provider: str
    redirect_url: str
    subject: str | None = None
    callback: Callback | None = None


class BegunWire(Wire):
    """Open `authorizationUrl` in the popup; it is good until `expiresAt`."""

    authorization_url: str
    attempt_id: str
    expires_at: datetime


class CompleteBody(Wire):
    """`attemptId` and `handle` from the popup's message, or `state` with `code` or `error` from the application's own
    callback page. `subject`: the user that an API key acts for.
    """

    attempt_id: str | None = None
    handle: str | None = None
    code: str | None = None
    state: str | None = None
    iss: str | None = None
    error: str | None = None
    subject: str | None = None

    def __repr__(self) -> str:
        return "CompleteBody()"


class AttemptWire(Wire):
    """`code` and `detail` tell why it was denied, failed or expired."""

    id: str
    provider: str
    state: State
    integration: IntegrationWire | None
    code: str | None
    detail: str | None
    expires_at: datetime


def begun_wire(attempt: Attempt, public_url: str) -> BegunWire:
    return BegunWire(
        authorization_url=f"{public_url.rstrip('/')}/v1/oauth/start/{attempt.id}",
        attempt_id=attempt.id,
        expires_at=attempt.expires_at,
    )


def attempt_wire(attempt: Attempt, seen: Seen | None) -> AttemptWire:
    return AttemptWire(
        id=attempt.id,
        provider=attempt.provider,
        state=attempt.state,
        integration=None if seen is None else integration_wire(seen),
        code=attempt.code,
        detail=attempt.detail,
        expires_at=attempt.expires_at,
    )
