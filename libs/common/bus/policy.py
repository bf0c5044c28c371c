"""One function decides what becomes of a message whose handler failed: again, wait, done or parked."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgspec

from libs.common.errors import Disposition, RetryAfter, SluiceError


class Backoff(msgspec.Struct, frozen=True):
    """Seconds. `tries` calls in all, then the message is parked; a pause has no last try."""

    tries: int = 5
    first: float = 0.1
    factor: float = 3.0
    longest: float = 15.0

    def after(self, attempt: int) -> float:
        """Half of it is jitter, so that replicas that failed together do not come back together."""
        full = min(self.longest, self.first * self.factor ** min(attempt - 1, 20))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


class Decision(msgspec.Struct, frozen=True):
    """`after` seconds pass before a retry or a pause ends."""

    disposition: Disposition
    after: float = 0.0


STANDARD = Backoff()


def disposition_of(error: BaseException) -> Disposition:
    """Ours by its class; a lost connection is the weather; anything else is a bug, and worth another try."""
    if isinstance(error, BaseExceptionGroup):
        found = {disposition_of(one) for one in error.exceptions}
        return Disposition.PAUSE if Disposition.PAUSE in found else Disposition.RETRY
    if isinstance(error, SluiceError):
        return error.disposition
    return Disposition.PAUSE if isinstance(error, ConnectionError) else Disposition.RETRY


def decide(error: BaseException, attempt: int, backoff: Backoff = STANDARD) -> Decision:
    """`attempt` counts the failures of this disposition, this one included."""
    disposition = disposition_of(error)
    if disposition is Disposition.PAUSE:
        return Decision(Disposition.PAUSE, backoff.after(attempt))
    if disposition is not Disposition.RETRY:
        return Decision(disposition)
    if attempt >= backoff.tries:
        return Decision(Disposition.PARK)
    return Decision(Disposition.RETRY, _wait(error, attempt, backoff))


def _wait(error: BaseException, attempt: int, backoff: Backoff) -> float:
    if isinstance(error, RetryAfter):
        # A handler never calls a provider, so a far reset is not worth holding a partition for.
        return max(0.0, min(backoff.longest, (error.until - datetime.now(UTC)).total_seconds()))
    return backoff.after(attempt)


def error_code(error: BaseException) -> str:
    return error.code if isinstance(error, SluiceError) else type(error).__name__


def error_text(error: BaseException) -> str:
    """Only our own texts: a driver's may hold the values of a row."""
    return error.detail if isinstance(error, SluiceError) else f"{type(error).__name__} at {_place(error)}"


def _place(error: BaseException) -> str:
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return "an unknown place"
    return f"{tb.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{tb.tb_lineno}"
