"""One breaker a host: half of the calls of half a minute failed, so nobody calls but one probe at a time."""

from __future__ import annotations

SPAN = 30_000
SLICE = 3_000
LEAST_CALLS = 20
FIRST = 1_000
LONGEST = 8_000
PROBE_LEASE = 10_000


class Breaker:
    """Closed while `open_until` is 0; past that moment one probe is let through."""

    def __init__(self) -> None:
        self.open_until = 0
        self._cooldown = 0
        self._probe = 0
        self._calls: dict[int, int] = {}
        self._failed: dict[int, int] = {}

    def refuses(self, now: int) -> int:
        """When to ask again; 0 = come in."""
        if not self.open_until:
            return 0
        if now < self.open_until:
            return self.open_until
        return now + FIRST if now < self._probe else 0

    def enter(self, now: int) -> bool:
        """True when this call is the probe."""
        if self.open_until:
            self._probe = now + PROBE_LEASE
        return self.open_until > 0

    def note(self, now: int, *, failed: bool, probe: bool) -> None:
        """What else was under way when it opened says nothing of now."""
        if probe:
            self._judge(now, failed)
        elif not self.open_until:
            self._count(now, failed)

    def _judge(self, now: int, failed: bool) -> None:
        self._probe = 0
        self._cooldown = min(max(self._cooldown * 2, FIRST), LONGEST) if failed else 0
        self.open_until = now + self._cooldown if failed else 0

    def _count(self, now: int, failed: bool) -> None:
        at = now // SLICE
        self._calls = {one: n for one, n in self._calls.items() if one > at - SPAN // SLICE}
        self._failed = {one: n for one, n in self._failed.items() if one > at - SPAN // SLICE}
        self._calls[at] = self._calls.get(at, 0) + 1
        self._failed[at] = self._failed.get(at, 0) + failed
        calls, failures = sum(self._calls.values()), sum(self._failed.values())
        if calls >= LEAST_CALLS and failures * 2 >= calls:
            self.open_until, self._cooldown = now + FIRST, FIRST
            self._calls, self._failed = {}, {}
