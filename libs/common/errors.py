"""One error tree, grouped by what the caller should do; the bus and the HTTP edge both read it.

SluiceError
├── PassingFailure              theirs or the weather's: try again later         (bus: retry · HTTP 503)
│   ├── ProviderUnavailable     the provider answered 5xx, timed out or hung up
│   ├── RetryAfter              nobody calls before `until`: wait, and count no failure
│   │   ├── RateLimited         the budget is used up                            (HTTP 429)
│   │   └── BreakerOpen         the provider did not answer too often
│   ├── DependencyDown          Postgres, Redis or the broker is away            (bus: pause)
│   ├── Contended               another change of the same rows came first: repeat it
│   ├── TooManyFollowers        too many wait for changes in this process         (outbox/feed.py)
│   └── LeaseLost               another owner holds the work now
├── GrantFailure                the grant no longer works: ask the user          (bus: ack · HTTP 409)
│   ├── AuthExpired             ask auth's broker for a newer token
│   └── AuthRevoked             only a new consent helps
├── SightFailure                what we looked for is not visible                (bus: ack)
│   ├── ResourceGone            the object is proved gone
│   └── LostSight               a parent answers 401, 403, 404 or 410: never a delete
├── ProviderContractBroken      their payload no longer fits: quarantine it      (bus: ack · HTTP 502)
├── EdgeRefusal                 answers of the HTTP edge, never queued
│   ├── SignatureInvalid        401 · MalformedPayload 400 · UnsupportedEvent 202 · PayloadTooLarge 413
├── CallerMistake               ours, expected                                   (bus: ack)
│   ├── NotFound 404 · Conflict 409 · Forbidden 403 · InvalidState 409 · Unauthenticated 401
│   ├── InvalidInput 422        with a pointer to the field
│   └── CursorExpired 410       what follows it is dropped: read the state anew   (http/wire.py)
├── AlreadyHandled, Superseded  a repeat or an older version: normal             (bus: ack)
├── UnreadableMessage           wrong bytes on a topic                           (bus: park at once)
└── ConfigurationError          refuse to start; says which setting
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What the bus does with a message whose handler raised this."""

    RETRY = "retry"
    PAUSE = "pause"
    ACK = "ack"
    PARK = "park"


class SluiceError(Exception):
    """Carries everything that an edge needs to answer: no text of it may hold a secret."""

    code: ClassVar[str] = "internal"
    disposition: ClassVar[Disposition] = Disposition.RETRY
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Something failed on our side"

    def __init__(self, detail: str = "", *, pointer: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.pointer = pointer


class PassingFailure(SluiceError):
    code = "unavailable"
    http_status = 503
    title = "Not available right now; try again"


class ProviderUnavailable(PassingFailure):
    code = "provider_unavailable"
    title = "The provider does not answer"


class RetryAfter(PassingFailure):
    """No call is made before `until` (UTC): nothing failed, so no try is counted."""

    def __init__(self, detail: str = "", *, until: datetime) -> None:
        super().__init__(detail)
        self.until = until


class BreakerOpen(RetryAfter):
    """Most calls to this host failed: one probe a second asks for all."""

    code = "breaker_open"
    title = "The provider does not answer; it is asked again soon"


class RateLimited(RetryAfter):
    """`until` is when the budget is back, read from the provider's headers.

    `alone`: only this call found no place among its neighbours; the account as a whole is not limited.
    """

    code = "rate_limited"
    http_status = 429
    title = "The rate limit is used up"

    def __init__(self, detail: str = "", *, until: datetime, alone: bool = False) -> None:
        super().__init__(detail, until=until)
        self.alone = alone


class DependencyDown(PassingFailure):
    code = "dependency_down"
    disposition = Disposition.PAUSE
    title = "A part of this service is away; try again"


class Contended(PassingFailure):
    code = "contended"
    title = "Another change of the same came first; try again"


class LeaseLost(PassingFailure):
    code = "lease_lost"
    disposition = Disposition.ACK
    title = "Another owner holds this work now"


class GrantFailure(SluiceError):
    code = "grant_failed"
    disposition = Disposition.ACK
    http_status = 409
    title = "The provider no longer accepts this connection; reconnect it"


class AuthExpired(GrantFailure):
    code = "auth_expired"


class AuthRevoked(GrantFailure):
    code = "auth_revoked"


class SightFailure(SluiceError):
    code = "not_visible"
    disposition = Disposition.ACK
    http_status = 404
    title = "Not visible at the provider"


class ResourceGone(SightFailure):
    code = "resource_gone"


class LostSight(SightFailure):
    """A parent cannot be seen any more: an access problem until proved otherwise, never a deletion."""

    code = "lost_sight"


class ProviderContractBroken(SluiceError):
    code = "provider_contract_broken"
    disposition = Disposition.ACK
    http_status = 502
    title = "The provider's answer does not have the documented shape"


class EdgeRefusal(SluiceError):
    code = "refused"
    disposition = Disposition.ACK
    http_status = 400
    title = "The request was refused"


class SignatureInvalid(EdgeRefusal):
    code = "signature_invalid"
    http_status = 401
    title = "The delivery is not signed with this endpoint's secret"


class MalformedPayload(EdgeRefusal):
    code = "malformed_payload"
    title = "The body is not what this route reads"


class UnsupportedEvent(EdgeRefusal):
    code = "unsupported_event"
    http_status = 202
    title = "This kind of event is not handled; it was counted"


class PayloadTooLarge(EdgeRefusal):
    code = "payload_too_large"
    http_status = 413
    title = "The body is larger than this route reads"


class CallerMistake(SluiceError):
    code = "bad_request"
    disposition = Disposition.ACK
    http_status = 400
    title = "The request cannot be carried out"


class Unauthenticated(CallerMistake):
    code = "unauthenticated"
    http_status = 401
    title = "Send a valid key or token as Authorization: Bearer"


class Forbidden(CallerMistake):
    code = "forbidden"
    http_status = 403
    title = "This key or token may not do that"


class NotFound(CallerMistake):
    """Foreign and absent look the same."""

    code = "not_found"
    http_status = 404
    title = "Not found"


class Conflict(CallerMistake):
    code = "conflict"
    http_status = 409
    title = "This clashes with what is there"


class InvalidState(CallerMistake):
    code = "invalid_state"
    http_status = 409
    title = "Not possible in the present state"


class InvalidInput(CallerMistake):
    """`pointer` is a JSON pointer to the field at fault."""

    code = "invalid_input"
    http_status = 422
    title = "A field is not valid"


class AlreadyHandled(SluiceError):
    code = "already_handled"
    disposition = Disposition.ACK
    http_status = 200
    title = "Done before"


class Superseded(SluiceError):
    code = "superseded"
    disposition = Disposition.ACK
    http_status = 409
    title = "A newer version is there"


class UnreadableMessage(SluiceError):
    code = "unreadable_message"
    disposition = Disposition.PARK
    title = "The bytes on the topic are not an event of it"


class ConfigurationError(SluiceError):
    code = "configuration"
    title = "A setting is missing or weak"
