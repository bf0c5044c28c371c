"""What the command line tells of freshness."""

from typing import Any

import pytest

from libs.cli.freshness import row, span, summary

FRESH: dict[str, Any] = {
    "freshAsOf": None, "sweptAsOf": None, "stalenessSeconds": None, "objectiveSeconds": 1200, "objectiveMet": True,
}  # fmt: skip


def test_summary_says_how_many_are_late_or_that_nothing_is_promised() -> None:
    worst = {**FRESH, "resources": 20, "lateResources": 3, "objectiveMet": False}
    assert summary(worst) == "3 of 20 copies are older than promised."
    assert "as fresh as promised" in summary({**worst, "objectiveMet": True})
    assert "Nothing is promised" in summary({**worst, "objectiveMet": None})


def test_resource_without_a_plan_shows_why() -> None:
    one = {"name": "octo/hello", "freshness": FRESH, "nextPollAt": None, "pollReason": "paused"}
    assert row(one) == ("octo/hello", "never", "never", "20 min", "yes", "", "paused")


@pytest.mark.parametrize(("seconds", "words"), [(None, ""), (1200, "20 min"), (86_700, "24 h")])
def test_objective_is_told_in_minutes_or_hours(seconds: int | None, words: str) -> None:
    assert span(seconds) == words
