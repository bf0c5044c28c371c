"""How long an answer asks to be left alone (RFC 9110, section 10.2.3), whoever sends it and whatever stands there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T", timedelta, None)
LONGEST = timedelta(hours=24)  # who asks for a year is asked again tomorrow
IMF_FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"
RFC_850 = "%A, %d-%b-%y %H:%M:%S GMT"
ASCTIME = "%a %b %d %H:%M:%S %Y"
YEARS_AHEAD = 50  # a year of two digits is not further away (RFC 9110, section 5.6.7)


def wait_asked(headers: Mapping[str, str], *, otherwise: T, longest: timedelta = LONGEST) -> timedelta | T:
    """`headers` have lower-case names. From nothing, of a moment that is past, to `longest`.

    `otherwise`: the header is absent, or neither whole seconds nor a date.
    """
    text = headers.get("retry-after", "").strip(" \t")
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(float(text), longest.total_seconds()))
    moment = http_date(text)
    return otherwise if moment is None else max(timedelta(), min(moment - datetime.now(UTC), longest))


def http_date(text: str) -> datetime | None:
    """The form that is written today, or one of the two obsolete ones; None for anything else."""
    for form in (IMF_FIXDATE, RFC_850, ASCTIME):
        moment = _read(text, form)
        if moment is not None:
            return moment
    return None


def _read(text: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, form).replace(tzinfo=UTC) if text.isascii() else None
        return _last_that_may_be(moment) if moment and form == RFC_850 else moment
    except ValueError:
        return None


def _last_that_may_be(moment: datetime) -> datetime:
    """The latest year that ends in these two digits and is not too far ahead."""
    latest = datetime.now(UTC).year + YEARS_AHEAD
    return moment.replace(year=latest - (latest - moment.year) % 100)
