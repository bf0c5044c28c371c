"""Where a reader of a run's events goes on: the header is anybody's text."""

from __future__ import annotations

import pytest

from services.sync.api.runs import seen_before


@pytest.mark.parametrize(("header", "seen"), [("0", 0), ("41", 41), ("9" * 18, 10**18 - 1)])
def test_reader_goes_on_behind_the_report_that_it_names(header: str, seen: int) -> None:
    assert seen_before(header) == seen


@pytest.mark.parametrize("header", [None, "", "-1", "one", "\u00b2", "9" * 5_000, "1\n"])
def test_reader_that_names_no_report_begins_at_the_first(header: str | None) -> None:
    assert seen_before(header) == -1
