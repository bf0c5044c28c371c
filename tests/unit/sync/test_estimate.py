"""What a run says of its end: only what its streams and its own pace tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from services.sync.domain.estimate import Pace, progress, seconds_left

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HALF = Pace(
    resources=2, done=0, seen=100, expected=300, remaining=200, unknown=0, elapsed=50.0, parked_until=None
)  # fmt: skip


def but(**given: object) -> Pace:
    return msgspec.structs.replace(HALF, **given)


def test_what_remains_takes_as_long_as_the_pace_so_far() -> None:
    assert seconds_left(HALF, NOW) == 100.0
    assert seconds_left(but(elapsed=25.0), NOW) == 50.0
    assert progress(HALF) == 0.333


def test_parked_run_waits_first() -> None:
    assert seconds_left(but(parked_until=NOW + timedelta(seconds=60)), NOW) == 160.0
    assert seconds_left(but(parked_until=NOW - timedelta(seconds=60)), NOW) == 100.0


def test_nothing_is_told_while_something_is_not_known() -> None:
    assert seconds_left(but(unknown=1), NOW) is None
    assert seconds_left(but(remaining=None), NOW) is None
    assert seconds_left(but(seen=0), NOW) is None
    assert seconds_left(but(elapsed=None), NOW) is None
    assert progress(but(resources=0)) is None


def test_share_is_the_better_known_one_and_never_whole() -> None:
    assert progress(but(done=1)) == 0.5
    assert progress(but(seen=300)) == 0.0
    assert progress(but(done=2)) == 0.99
