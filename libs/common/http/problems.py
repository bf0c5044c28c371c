"""Errors as RFC 9457 problem documents, and back into the same error on the other side of an internal call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.clock import Clock, SystemClock
from libs.common.errors import DependencyDown, RetryAfter, SluiceError
from libs.common.http.retry_after import wait_asked

MEDIA_TYPE = "application/problem+json"
TYPES = "/problems/"
LONGEST_DETAIL = 1000
DEFAULT_WAIT = timedelta(seconds=30)


class Problem(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """`type` is a relative reference whose last part is the error's code; `pointer` is a JSON pointer to the field."""

    type: str
    title: str
    status: int
    detail: str | None = None
    pointer: str | None = None
    request_id: str | None = None

    @property
    def code(self) -> str:
        return self.type.removeprefix(TYPES)


def problem_of(error: SluiceError, request_id: str | None) -> Problem:
    detail = error.detail[:LONGEST_DETAIL]
    return Problem(
        type=TYPES + error.code,
        title=error.title,
        status=error.http_status,
        detail=None if detail == error.title else detail,
        pointer=error.pointer,
        request_id=request_id,
    )


def retry_after(error: SluiceError, clock: Clock | None = None) -> str | None:
    """Whole seconds, at least 1; None for an error that names no moment."""
    if not isinstance(error, RetryAfter):
        return None
    left = (error.until - (clock or SystemClock()).now()).total_seconds()
    return str(max(1, math.ceil(left)))


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> SluiceError:
    """The error that the other service raised; DependencyDown if it failed in a way that it did not explain."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, RecursionError):
        return DependencyDown(f"a service answered {status}")
    kind = _kinds().get(problem.code)
    if kind is None or status == 500:
        return DependencyDown(f"a service answered {status}")
    if issubclass(kind, RetryAfter):
        return kind(problem.detail or "", until=datetime.now(UTC) + wait_asked(headers, otherwise=DEFAULT_WAIT))
    error = kind.__new__(kind)
    SluiceError.__init__(error, problem.detail or "", pointer=problem.pointer)
    return error


def _kinds() -> dict[str, type[SluiceError]]:
    """By code; where several classes share one, the most general stands for it."""
    found: dict[str, type[SluiceError]] = {}
    open_ = [SluiceError]
    while open_:
        kind = open_.pop(0)
        found.setdefault(kind.code, kind)
        open_.extend(kind.__subclasses__())
    return found
