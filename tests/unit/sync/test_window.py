"""Which `since` bounds a backfill, and which is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from libs.common.errors import InvalidInput
from libs.common.provider.window import read_since, since_of
from libs.providers.registry import manifest

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def read(value: object, provider: str = "github") -> datetime | None:
    return read_since(value, manifest(provider), now=NOW, pointer="/config/since")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-06-01T13:30:00+02:00", datetime(2026, 6, 1, 11, 30, tzinfo=UTC)),
        ("2026-06-01T12:00:00", NOW),
        (None, None),
    ],
)
def test_date_or_moment_of_the_past_is_taken_in_utc(value: object, expected: datetime | None) -> None:
    assert read(value) == expected


@pytest.mark.parametrize("value", ["", "yesterday", "2026-02-30", "2026-06-01T12:00:01", "2999-01-01", 20260131, True,
                                   ["2026-01-31"], "0001-01-01T00:00:00+23:59"])  # fmt: skip
def test_anything_else_is_refused_with_a_pointer(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(value)
    assert refused.value.pointer == "/config/since"


def test_provider_that_knows_no_dates_refuses_a_window_rather_than_ignoring_it() -> None:
    with pytest.raises(InvalidInput, match="always read whole"):
        read("2026-01-31", "docusaurus")


def test_checked_config_tells_its_window() -> None:
    assert since_of({"since": "2026-01-31T00:00:00+00:00"}) == datetime(2026, 1, 31, tzinfo=UTC)
    assert since_of({}) is None
