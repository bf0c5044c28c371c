"""What is told to wait is told so in the same words on the other side of an internal call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common.errors import BreakerOpen, PassingFailure, RateLimited, RetryAfter
from libs.common.http.problems import error_from, problem_of, retry_after


@pytest.mark.parametrize(
    ("kind", "code", "status"), [(RateLimited, "rate_limited", 429), (BreakerOpen, "breaker_open", 503)]
)
def test_wait_crosses_an_internal_call_as_what_it_was(kind: type[RetryAfter], code: str, status: int) -> None:
    error = kind("not now", until=datetime.now(UTC) + timedelta(seconds=90))
    told = problem_of(error, None)
    assert (told.type, told.status) == (f"/problems/{code}", status)
    found = error_from(told.status, {"retry-after": retry_after(error) or ""}, msgspec.json.encode(told))
    assert type(found) is kind
    assert isinstance(found, RetryAfter)
    assert abs(found.until - error.until) < timedelta(seconds=5)


def test_failure_that_names_no_moment_says_none() -> None:
    told = msgspec.json.encode(problem_of(PassingFailure("away"), None))
    assert retry_after(PassingFailure("away")) is None
    assert type(error_from(503, {"retry-after": "5"}, told)) is PassingFailure
