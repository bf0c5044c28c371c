"""A header that any peer writes as it likes ends nothing, and holds nobody for longer than a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from libs.common.http.retry_after import ASCTIME, IMF_FIXDATE, LONGEST, RFC_850, http_date, wait_asked

UNSAID = timedelta(seconds=42)
MOMENT = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


def read(text: str) -> timedelta:
    return wait_asked({"retry-after": text}, otherwise=UNSAID)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("7", 7), (" 120\t", 120), ("0000000000000012", 12), ("86400", 86_400)]
)
def test_whole_seconds_are_waited_for(text: str, seconds: int) -> None:
    assert read(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["86401", "999999999", "9" * 30, "9" * 8000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_what_asks_for_more_than_a_day_is_asked_again_tomorrow(text: str) -> None:
    assert read(text) == LONGEST
    assert wait_asked({"retry-after": text}, otherwise=UNSAID, longest=timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize("form", [IMF_FIXDATE, RFC_850, ASCTIME])
def test_date_is_waited_for_in_each_of_its_forms(form: str) -> None:
    later = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    assert http_date(later.strftime(form)) == later
    assert timedelta(hours=4, minutes=59) < read(later.strftime(form)) <= timedelta(hours=5)


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_moment_that_is_past_is_no_wait(text: str) -> None:
    assert http_date(text) == MOMENT
    assert read(text) == timedelta()


def test_year_of_two_digits_is_at_most_fifty_years_ahead() -> None:
    this = datetime.now(UTC).year
    for year in range(this - 49, this + 51):
        found = http_date(f"Monday, 02-Mar-{year % 100:02} 00:00:00 GMT")
        assert found == datetime(year, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "soon", "-1", "+5", "1.5", "1e9", "0x10", "1_000", "5, 7", "5;", "²", "٣", "５", "nan", "inf", "\x00",
        "Fri, 31 Dec 1999 23:59:59", "Fri, 31 Dec 1999 23:59:59 +0100", "Fri, 31 Dec 1999 23:59:59 +99999999999999",
        "Fri, 31 Feb 2027 00:00:00 GMT", "Fri, 31 Dec 0000 00:00:00 GMT", "Fri, 31 Dec 19999 23:59:59 GMT",
        "Fri, ٣1 Dec 2027 23:59:59 GMT", "Thursday, 29-Feb-27 00:00:00 GMT", "2027-01-01T00:00:00Z", "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_neither_seconds_nor_a_date_says_nothing(text: str) -> None:
    assert read(text) == UNSAID
    assert wait_asked({"retry-after": text}, otherwise=None) is None


def test_header_that_is_not_there_says_nothing() -> None:
    assert wait_asked({}, otherwise=UNSAID) == UNSAID
