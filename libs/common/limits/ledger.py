"""Budgets shared through Redis; without it each process spends its own part of what it last knew, never all of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from libs.common.clock import Clock
from libs.common.errors import DependencyDown
from libs.common.limits.breaker import Breaker
from libs.common.limits.rules import Account, Answer, Flow, State
from libs.common.limits.shared import LEASE_MS, Outcome, Place, Shared
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import gauge

log = get_logger(__name__)
T = TypeVar("T")

AGAIN_MS = 1_000  # between two looks whether Redis is back
FRESH_MS = 5_000
MOST_KEPT = 10_000

_shared = gauge("limits_shared", "1 while provider budgets are shared through Redis, 0 while each process has its part")
_replicas = gauge("limits_replicas", "Live replicas that share the budgets, as Redis last told")


class _Known:
    """What this process holds of one account, and when all replicas last agreed on it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.met = 0
        self.lost = 0

    def meet(self, now: int, state: State) -> None:
        self.account.adopt(now, state)
        self.met, self.lost = now, 0

    def lose(self, now: int) -> Account:
        """At the first call without Redis: what was not met a moment ago may be nearly spent by others."""
        if not self.lost:
            self.lost = now
            if self.met < now - FRESH_MS:
                self.account.distrust(now)
        return self.account


class Ledger:
    """`replicas` is what a process assumes that never reached Redis."""

    def __init__(self, shared: Shared, clock: Clock, owner: str, *, replicas: int) -> None:
        self.owner = owner
        self.up = True
        self._shared = shared
        self._clock = clock
        self._replicas = replicas
        self._again_at = 0
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    def now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    async def take(self, place: Place, ticket: str, flow: Flow, *, holder: str) -> Answer:
        """Never raises for Redis: without it the answer is this process's own."""
        known = self._of(place)
        if self._reachable():
            try:
                answer = await self._shared.take(place, ticket, flow, holder=holder, seed=self._seed(known))
            except DependencyDown:
                self._lost()
            else:
                self._found()
                known.meet(self.now(), answer.state)
                return answer
        return self._take_alone(place, known, ticket, flow)

    async def settle(self, place: Place, ticket: str, outcome: Outcome) -> bool:
        """True while the host's breaker is open."""
        known = self._of(place)
        if self._reachable():
            try:
                state, open_until = await self._shared.settle(place, ticket, outcome, seed=self._seed(known))
            except DependencyDown:
                self._lost()
            else:
                self._found()
                known.meet(self.now(), state)
                return open_until > 0
        return self._settle_alone(place, known, ticket, outcome)

    async def look(self, place: Place) -> State | None:
        """None when nobody has spent of it yet."""
        if self._reachable():
            try:
                return await self._shared.look(place)
            except DependencyDown:
                self._lost()
        known = self._known.get(place.account)
        return known.account.state(self.now(), self._replicas) if known else None

    async def holders(self, place: Place) -> list[str]:
        """Who used this account within a day; nobody is known while Redis is away."""
        if not self._reachable():
            return []
        try:
            return await self._shared.holders(place)
        except DependencyDown:
            self._lost()
            return []

    async def beat(self) -> None:
        try:
            self._replicas = max(await self._shared.beat(self.owner), 1)
        except DependencyDown:
            self._lost()
        else:
            self._found()
            _replicas.set(self._replicas)

    async def close(self) -> None:
        await self._shared.close()

    def _take_alone(self, place: Place, known: _Known, ticket: str, flow: Flow) -> Answer:
        now, breaker = self.now(), self._breaker(place)
        closed_until = breaker.refuses(now)
        if closed_until:
            return Answer(reason="breaker", wait=closed_until - now, state=known.account.state(now, self._replicas))
        answer = known.lose(now).take(now, ticket, flow, lease=LEASE_MS, cost=self._replicas)
        probe = answer.granted and breaker.enter(now)
        return Answer(reason=answer.reason, wait=answer.wait, probe=probe, state=answer.state)

    def _settle_alone(self, place: Place, known: _Known, ticket: str, outcome: Outcome) -> bool:
        now, breaker = self.now(), self._breaker(place)
        account = known.lose(now)
        account.settle(now, ticket, free=outcome.free, told=outcome.told, cost=self._replicas)
        if outcome.blocked_for:
            account.block(now + outcome.blocked_for)
        if outcome.failed is not None:
            breaker.note(now, failed=outcome.failed, probe=outcome.probe)
        return breaker.open_until > 0

    def _seed(self, known: _Known) -> State | None:
        return known.account.state(self.now()) if known.met or known.lost else None

    def _of(self, place: Place) -> _Known:
        return _kept(self._known, place.account, lambda: _Known(Account(place.terms)))

    def _breaker(self, place: Place) -> Breaker:
        return _kept(self._breakers, place.host, Breaker)

    def _reachable(self) -> bool:
        return self.up or self.now() >= self._again_at

    def _lost(self) -> None:
        self._again_at = self.now() + AGAIN_MS
        if self.up:
            log.warning("limits_local", count=self._replicas)
        self.up = False
        _shared.set(0)

    def _found(self) -> None:
        if not self.up:
            log.info("limits_shared_again")
        self.up = True
        _shared.set(1)


def _kept(kept: OrderedDict[str, T], name: str, make: Callable[[], T]) -> T:
    """The most recently used ones are enough: what falls out is learned anew."""
    if name not in kept:
        kept[name] = make()
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    kept.move_to_end(name)
    return kept[name]
