"""How far a run is, from what its streams say they hold and the pace of the run so far: never a number of our own."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """`expected` of what says how much it holds; `unknown`: resources under way or waiting that do not say it."""

    resources: int
    done: int
    seen: int
    expected: int
    remaining: int | None
    unknown: int
    elapsed: float | None
    parked_until: datetime | None


def progress(pace: Pace) -> float | None:
    """A share below 1: only the end of the run is 1."""
    if not pace.resources:
        return None
    items = pace.seen / pace.expected if pace.expected > pace.seen else 0.0
    return round(min(0.99, max(pace.done / pace.resources, items)), 3)


def seconds_left(pace: Pace, now: datetime) -> float | None:
    """None when something does not say how much it holds, or nothing has come yet to tell the pace."""
    if pace.unknown or pace.remaining is None or not pace.seen or not pace.elapsed:
        return None
    parked = max((pace.parked_until - now).total_seconds(), 0.0) if pace.parked_until else 0.0
    return round(parked + pace.remaining * pace.elapsed / pace.seen, 1)
