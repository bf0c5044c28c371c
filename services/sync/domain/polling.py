"""When to look again, and why: quicker where changes come, slower where it is quiet or where hooks tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import random

import msgspec

SHORTEST = timedelta(minutes=1)
QUICKEST = 10  # a look comes at most ten times as often as asked for
STRETCH = 4  # and with hooks that tell, this many times later
JITTER = 10  # up to this part earlier, so that what began together drifts apart
WINDOW = 5  # looks that are remembered
NO_LOOKS = 1  # the highest bit marks how many are known
HEARD_LATELY = timedelta(days=1)
DEAF_AFTER = timedelta(minutes=5)  # a delivery may come a little after the change was found
POLLS_SHARE = 0.8  # of a grant's hourly requests; the rest is for hooks and people
ALLOWANCE = timedelta(minutes=5)  # what a look itself may take before it is late
TELLING = ("active", "manual")


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one resource when its next look is planned; all times are the database's.

    `asked`: the longest that the user accepts without a look while no hook tells. `looks`: the last ones as bits,
    newest lowest, set where changes came. `cost`: requests of the last look. `limit`: requests an hour that the
    provider allows a grant; `used` of `quota`: as the provider told, or ours of the last hour. `untold_at`: when a look
    found changes that no delivery had told.
    """

    now: datetime
    works: bool
    polling: bool
    monitored: bool
    asked: timedelta
    sweep_every: timedelta
    hooks: str = "none"
    looks: int = NO_LOOKS
    last_look: datetime | None = None
    looked_before: bool = False
    heard_at: datetime | None = None
    untold_at: datetime | None = None
    cost: int = 0
    limit: int = 0
    used: int = 0
    quota: int = 0
    resources: int = 1
    next_poll_at: datetime | None = None
    next_sweep_at: datetime | None = None


class Pace(msgspec.Struct, frozen=True):
    """`every` is None when nothing is polled."""

    every: timedelta | None
    reason: str


def pace(outlook: Outlook) -> Pace:
    if not outlook.works:
        return Pace(None, "paused")
    if not outlook.polling:
        return Pace(None, "polling is off")
    if _alive(outlook):
        every = _longest(outlook)
        return Pace(every, f"hooks are alive: every {spoken(every)}")
    wish = _wish(outlook)
    return _within_quota(outlook, wish)


def _wish(outlook: Outlook) -> Pace:
    quickest = min(max(outlook.asked / QUICKEST, SHORTEST), outlook.asked)
    if _deaf(outlook):
        return Pace(quickest, f"hooks are silent although changes came: every {spoken(quickest)}")
    found, known = changed_looks(outlook.looks)
    if not found:
        return Pace(outlook.asked, f"quiet: every {spoken(outlook.asked)}")
    every = outlook.asked * (quickest / outlook.asked) ** (found / WINDOW)
    return Pace(every, f"changes came at {found} of the last {known} looks: every {spoken(every)}")


def _within_quota(outlook: Outlook, wish: Pace) -> Pace:
    """The quota slows what would be quicker than asked; what is asked for is kept, and parks if it must."""
    if wish.every is None or not (outlook.limit and outlook.quota) or wish.every >= outlook.asked:
        return wish
    if outlook.used >= outlook.quota * POLLS_SHARE:
        told = f"quota: {outlook.used:,} of {outlook.quota:,} requests are used"
        return Pace(outlook.asked, f"{told}: every {spoken(outlook.asked)}")
    least = timedelta(hours=1) * (outlook.cost * outlook.resources / (outlook.limit * POLLS_SHARE))
    if least <= wish.every:
        return wish
    every = min(least, outlook.asked)
    shared = f"quota: looks of {outlook.cost:,} requests at {outlook.resources:,} resources share {outlook.limit:,}"
    return Pace(every, f"{shared} an hour: every {spoken(every)}")


def _alive(outlook: Outlook) -> bool:
    """A delivery was heard lately, and nothing changed since that none told."""
    if not (outlook.monitored and outlook.hooks in TELLING) or outlook.heard_at is None or _silent(outlook):
        return False
    return outlook.now - outlook.heard_at <= HEARD_LATELY


def _deaf(outlook: Outlook) -> bool:
    if not (outlook.monitored and outlook.hooks == "active" and _silent(outlook)) or outlook.untold_at is None:
        return False
    return outlook.now - outlook.untold_at >= DEAF_AFTER


def accused(outlook: Outlook) -> datetime | None:
    """Since when hooks that should tell are suspected; hooks that are off are accused of nothing."""
    return outlook.untold_at if outlook.monitored and outlook.hooks == "active" else None


def _silent(outlook: Outlook) -> bool:
    """Nothing was heard since a look found what no delivery had told."""
    return outlook.untold_at is not None and (outlook.heard_at is None or outlook.heard_at < outlook.untold_at)


def _longest(outlook: Outlook) -> timedelta:
    return max(outlook.asked, min(outlook.asked * STRETCH, outlook.sweep_every))


def changed_looks(looks: int) -> tuple[int, int]:
    """Looks that found changes, of those that are known."""
    known = looks.bit_length() - 1
    return (looks ^ (1 << known)).bit_count(), known


def remember(looks: int, *, changed: bool) -> int:
    known = min(looks.bit_length() - 1, WINDOW - 1)
    kept = looks & ((1 << known) - 1)
    return (1 << (known + 1)) | (kept << 1) | changed


def after_look(outlook: Outlook, *, changes: int, cost: int) -> Outlook:
    """The first whole look only fills an empty copy: it says nothing of how often things change."""
    known = msgspec.structs.replace(outlook, cost=cost)
    if not outlook.looked_before:
        return known
    untold = outlook.untold_at
    if changes and outlook.monitored and outlook.hooks == "active" and not _told(outlook):
        untold = untold if _silent(outlook) else outlook.now
    looks = remember(outlook.looks, changed=changes > 0)
    return msgspec.structs.replace(known, looks=looks, untold_at=untold)


def _told(outlook: Outlook) -> bool:
    """A delivery came since the look before this one."""
    if outlook.heard_at is None:
        return False
    return outlook.last_look is None or outlook.heard_at >= outlook.last_look


def next_poll(outlook: Outlook, every: timedelta | None, chance: Callable[[], float] = random) -> datetime | None:
    """Counted from the last look; what is overdue comes soon, but not all of it at once."""
    if every is None:
        return None
    at = (outlook.last_look or outlook.now) + every * (1 - chance() / JITTER)
    return at if at > outlook.now else outlook.now + every * (chance() / JITTER)


def next_sweep(outlook: Outlook, *, asked_now: bool, chance: Callable[[], float] = random) -> datetime | None:
    """None when nothing looks by itself. The first one comes at some time within the second half of the interval."""
    if not (outlook.works and (outlook.polling or outlook.monitored)):
        return None
    if asked_now:
        return outlook.now + outlook.sweep_every * (1 - chance() / JITTER)
    return outlook.next_sweep_at or outlook.now + outlook.sweep_every * (1 + chance()) / 2


def promise(outlook: Outlook) -> timedelta | None:
    """How old the last confirmed state may get; None when nobody looks by itself."""
    if not (outlook.works and (outlook.polling or outlook.monitored)):
        return None
    if not outlook.polling:
        return outlook.sweep_every + ALLOWANCE
    return (_longest(outlook) if _alive(outlook) else outlook.asked) + ALLOWANCE


def spoken(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s" if seconds % 60 else f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{round(seconds / 60)} min"
