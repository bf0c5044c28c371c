"""Faults that a test or an operator switches on: which request breaks, how, and how often."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

import msgspec

from libs.sandbox.contract import pattern

Kind = Literal["status", "reset", "truncate", "slow", "rate_limit", "secondary_limit", "unauthorized", "hang"]
# These are said in the provider's own words; the other kinds are the wire's.
SPOKEN: frozenset[str] = frozenset({"rate_limit", "secondary_limit", "unauthorized"})


class Fault(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """`after` is the first matching request that breaks (1 = the next), `times` how many do (0 = until removed)."""

    match: str = ""
    kind: Kind
    method: str | None = None
    status: int = 503
    after: int = 1
    times: int = 1
    retry_after: int | None = None
    seconds: float = 2.0
    id: int = 0
    seen: int = 0
    fired: int = 0

    def spent(self) -> bool:
        return bool(self.times) and self.fired >= self.times


class Faults:
    def __init__(self) -> None:
        self._armed: list[tuple[Fault, re.Pattern[str] | None]] = []
        self._last = 0
        self.cleared = asyncio.Event()

    def arm(self, fault: Fault) -> Fault:
        self._last += 1
        fault.id, fault.seen, fault.fired = self._last, 0, 0
        self._armed.append((fault, pattern(fault.match)))
        return fault

    def clear(self) -> int:
        """Forgets all faults and lets hanging requests go."""
        count = len(self._armed)
        self._armed.clear()
        self.cleared.set()
        self.cleared = asyncio.Event()
        return count

    def listed(self) -> list[Fault]:
        return [fault for fault, _ in self._armed]

    def due(self, method: str, path: str) -> Fault | None:
        """The fault this request meets, counted; every matching fault sees the request, the first due one fires."""
        chosen: Fault | None = None
        for fault, expression in self._armed:
            if fault.method not in (None, method) or (expression and not expression.search(path)):
                continue
            fault.seen += 1
            if chosen is None and fault.seen >= fault.after and not fault.spent():
                fault.fired += 1
                chosen = fault
        return chosen
