"""How often a resource is looked at, and the words for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.sync.domain.polling import (
    ALLOWANCE,
    NO_LOOKS,
    Outlook,
    after_look,
    changed_looks,
    next_poll,
    next_sweep,
    pace,
    promise,
    remember,
    spoken,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUIET = Outlook(
    now=NOW, works=True, polling=True, monitored=False, asked=15 * MINUTE, sweep_every=timedelta(hours=24),
    last_look=NOW - 10 * MINUTE, looked_before=True,
)  # fmt: skip
HOOKED = msgspec.structs.replace(QUIET, monitored=True, hooks="active", heard_at=NOW - MINUTE)


def but(outlook: Outlook, **given: Any) -> Outlook:
    return msgspec.structs.replace(outlook, **given)


def looks(*changed: bool) -> int:
    known = NO_LOOKS
    for one in changed:
        known = remember(known, changed=one)
    return known


def test_last_five_looks_are_remembered() -> None:
    assert changed_looks(NO_LOOKS) == (0, 0)
    assert changed_looks(looks(True, False)) == (1, 2)
    assert changed_looks(looks(True, True, False, False, False, True, True)) == (2, 5)


def test_changes_shorten_the_interval_look_by_look_to_a_tenth_and_quiet_looks_lengthen_it_again() -> None:
    known, every = NO_LOOKS, []
    for changed in [True] * 6 + [False] * 6:
        known = remember(known, changed=changed)
        every.append(pace(but(QUIET, looks=known)).every)
    falling, rising = every[:5], every[6:11]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == every[5] == 1.5 * MINUTE
    assert rising == sorted(rising)
    assert rising[-1] == every[11] == 15 * MINUTE


def test_reason_tells_the_looks() -> None:
    found = pace(but(QUIET, looks=looks(True, False, True, True, False), asked=20 * MINUTE))
    assert found.reason == "changes came at 3 of the last 5 looks: every 5 min"
    assert pace(QUIET).reason == "quiet: every 15 min"


@pytest.mark.parametrize("minutes", [1, 2, 10])
def test_quickest_is_a_minute_and_never_later_than_asked(minutes: int) -> None:
    assert pace(but(QUIET, asked=minutes * MINUTE, looks=looks(*[True] * 5))).every == MINUTE


def test_live_hooks_stretch_polls_to_four_times_but_never_beyond_the_sweep() -> None:
    assert pace(but(HOOKED, looks=looks(True))).reason == "hooks are alive: every 1 h"
    assert pace(but(HOOKED, asked=timedelta(hours=12))).every == timedelta(hours=24)
    assert pace(but(HOOKED, asked=timedelta(hours=48))).every == timedelta(hours=48)


@pytest.mark.parametrize(
    "given", [{"heard_at": None}, {"heard_at": NOW - timedelta(days=2)}, {"hooks": "failing"}, {"monitored": False}]
)
def test_hooks_that_nobody_heard_stretch_nothing(given: dict[str, Any]) -> None:
    assert pace(but(HOOKED, **given)).reason == "quiet: every 15 min"


def test_change_that_no_delivery_told_makes_hooks_suspect_and_after_five_minutes_deaf() -> None:
    found = after_look(but(HOOKED, heard_at=NOW - 20 * MINUTE), changes=1, cost=3)
    assert found.untold_at == NOW
    assert pace(found).reason == "changes came at 1 of the last 1 looks: every 9 min"
    later = but(found, now=NOW + 9 * MINUTE)
    assert pace(later).reason == "hooks are silent although changes came: every 90 s"
    assert pace(later).every == 1.5 * MINUTE


def test_delivery_that_comes_after_all_makes_hooks_alive_again() -> None:
    deaf = after_look(but(HOOKED, heard_at=None), changes=1, cost=3)
    heard = but(deaf, now=NOW + 9 * MINUTE, heard_at=NOW + 8 * MINUTE)
    assert pace(heard).reason == "hooks are alive: every 1 h"


def test_change_that_a_delivery_told_since_the_last_look_accuses_nobody() -> None:
    assert after_look(HOOKED, changes=1, cost=3).untold_at is None
    assert after_look(but(HOOKED, heard_at=None), changes=0, cost=3).untold_at is None
    assert after_look(but(HOOKED, heard_at=None, hooks="manual"), changes=1, cost=3).untold_at is None


def test_first_look_fills_an_empty_copy_and_says_nothing_of_changes() -> None:
    found = after_look(but(HOOKED, heard_at=None, looked_before=False), changes=900, cost=40)
    assert (found.looks, found.untold_at, found.cost) == (NO_LOOKS, None, 40)


def test_used_quota_keeps_polls_at_what_was_asked() -> None:
    busy = but(QUIET, looks=looks(*[True] * 5), limit=5000, quota=5000, used=4100, cost=4)
    assert pace(busy).every == 15 * MINUTE
    assert pace(busy).reason == "quota: 4,100 of 5,000 requests are used: every 15 min"


def test_costly_looks_of_many_resources_are_spread_over_the_quota() -> None:
    costly = but(QUIET, looks=looks(*[True] * 5), limit=5000, quota=5000, cost=10, resources=40)
    assert pace(costly).every == 6 * MINUTE
    assert pace(costly).reason == "quota: looks of 10 requests at 40 resources share 5,000 an hour: every 6 min"
    assert pace(but(costly, resources=400)).every == 15 * MINUTE
    assert pace(but(costly, resources=1)).every == 1.5 * MINUTE


def test_nothing_is_planned_while_paused_or_off() -> None:
    assert pace(but(QUIET, works=False)) == pace(but(HOOKED, works=False))
    assert pace(but(QUIET, works=False)).reason == "paused"
    assert pace(but(QUIET, polling=False)).reason == "polling is off"
    assert next_poll(QUIET, None) is None
    assert next_sweep(but(HOOKED, works=False), asked_now=False) is None
    assert next_sweep(but(QUIET, polling=False), asked_now=False) is None


def test_next_poll_counts_from_the_last_look_and_is_never_later_than_asked() -> None:
    assert next_poll(QUIET, 15 * MINUTE, lambda: 0.0) == NOW + 5 * MINUTE
    assert next_poll(QUIET, 15 * MINUTE, lambda: 1.0) == NOW + 3.5 * MINUTE


def test_overdue_looks_are_spread_over_a_tenth_of_the_interval() -> None:
    overdue = but(QUIET, last_look=NOW - timedelta(days=1))
    assert next_poll(overdue, 20 * MINUTE, lambda: 0.0) == NOW
    assert next_poll(overdue, 20 * MINUTE, lambda: 1.0) == NOW + 2 * MINUTE


def test_first_sweeps_are_spread_over_half_a_day_and_a_planned_one_stays() -> None:
    assert next_sweep(QUIET, asked_now=False, chance=lambda: 0.0) == NOW + timedelta(hours=12)
    assert next_sweep(QUIET, asked_now=False, chance=lambda: 1.0) == NOW + timedelta(hours=24)
    planned = but(QUIET, next_sweep_at=NOW + MINUTE)
    assert next_sweep(planned, asked_now=False) == NOW + MINUTE
    assert next_sweep(planned, asked_now=True, chance=lambda: 0.0) == NOW + timedelta(hours=24)


def test_promise_is_the_longest_interval_and_the_time_of_a_look() -> None:
    assert promise(but(QUIET, looks=looks(True))) == 15 * MINUTE + ALLOWANCE
    assert promise(HOOKED) == 60 * MINUTE + ALLOWANCE
    assert promise(but(HOOKED, polling=False)) == timedelta(hours=24) + ALLOWANCE
    assert promise(but(QUIET, polling=False)) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 min"), (90, "90 s"), (120, "2 min"), (900, "15 min"), (3600, "1 h"), (5400, "90 min")],
)
def test_intervals_are_spoken(seconds: int, words: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == words
