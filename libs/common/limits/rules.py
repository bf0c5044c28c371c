"""What one account at a provider may spend: the rules alone, in whole milliseconds, without a clock and without I/O.

`limits.lua` says the same for all replicas at once, and a property test holds the two against each other. A process
that cannot reach Redis spends by these, each call at the price of one call of every replica (`cost`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

Lane = Literal["hint", "hook", "manual", "poll"]
Reason = Literal["", "blocked", "budget", "slot", "turn", "breaker"]

SLICES = 50  # of a window that nobody told us: a call counts until its slice has left it
SAME_WINDOW = 2_000
WAITS = 500  # whoever waits asks again within this time
SOON = 25
NEAR = 2_000  # a refusal that ends later than this is not waited for
KEPT = {"hint": 0, "hook": 2, "manual": 2, "poll": 5}  # percent of a window that a lane leaves to those before it
STRANGE = 5  # of an account that was not met just before Redis went, a fifth of a window is trusted to be left


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says: `limit` calls in any `window`, until the provider's headers say more."""

    limit: int
    window: int
    concurrency: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """By the provider's headers; `reset` in milliseconds since the epoch."""

    limit: int
    left: int
    reset: int


class Flow(msgspec.Struct, frozen=True):
    workspace: str
    lane: Lane


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` 0: no header was seen yet, and `used` calls of the manifest's window are spent or under way."""

    limit: int = 0
    left: int = 0
    reset: int = 0
    told: bool = False
    blocked: int = 0
    used: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Refused: ask again after `wait`. `probe`: this call alone finds out whether the host is back."""

    reason: Reason = ""
    wait: int = 0
    probe: bool = False
    state: State = State()

    @property
    def granted(self) -> bool:
        return not self.reason


class Account:
    """`limit`, `left` and `reset` are the provider's window; before any header, `slices` count our own calls."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.limit = self.left = self.reset = self.blocked = 0
        self.told = False
        self.slots: dict[str, int] = {}
        self._slices: dict[int, int] = {}
        self._waiting: dict[Flow, int] = {}
        self._served: dict[tuple[str, str], int] = {}
        self._width = max(terms.window // SLICES, 1)

    def take(
        self, now: int, ticket: str, flow: Flow, *, lease: int, cost: int = 1, gone: Collection[str] = ()
    ) -> Answer:
        """`gone` are owners that died: their slots are free. A ticket is `<owner>:<number>`."""
        self._pass_time(now, cost)
        reason, at = self._refusal(now, flow, cost, gone)
        if reason:
            if at - now <= NEAR:
                self._waiting[flow] = now + WAITS
            return Answer(reason=reason, wait=at - now, state=self.state(now, cost))
        self._waiting.pop(flow, None)
        self._serve(flow)
        self.slots[ticket] = now + lease
        if self.limit:
            self.left -= cost
        return Answer(state=self.state(now, cost))

    def settle(self, now: int, ticket: str, *, free: bool = False, told: Told | None = None, cost: int = 1) -> None:
        """`free`: the provider does not count this answer."""
        self._pass_time(now, cost)
        if self.slots.pop(ticket, None) is not None:
            if not free:
                self._count(now, cost)
            elif self.limit:
                self.left = min(self.left + cost, self.limit)
        if told is not None and told.limit > 0 and told.reset > now:
            self._learn(told, cost)

    def block(self, until: int) -> None:
        self.blocked = max(self.blocked, until)

    def state(self, now: int, cost: int = 1) -> State:
        self._pass_time(now, cost)
        return State(
            limit=self.limit, left=self.left, reset=self.reset, told=self.told, blocked=self.blocked,
            used=self._used(cost),
        )  # fmt: skip

    def adopt(self, now: int, state: State) -> None:
        """What all replicas hold together, as this process last heard of it."""
        self.limit, self.left, self.reset, self.told = state.limit, state.left, state.reset, state.told
        self.blocked = state.blocked
        self.slots.clear()
        self._slices = {now // self._width: state.used}

    def distrust(self, now: int) -> None:
        """Others may have spent most of this window since we last heard of it; the next header corrects it."""
        if self.limit:
            self.left, self.told = min(self.left, self.limit // STRANGE), False
            self.reset = self.reset if self.reset > now else now + self.terms.window
        else:
            spent = self.terms.limit - self.terms.limit // STRANGE
            self._slices = {now // self._width: max(spent, sum(self._slices.values()))}

    def _pass_time(self, now: int, cost: int) -> None:
        for ticket, until in list(self.slots.items()):
            if until <= now:
                del self.slots[ticket]
                self._count(now, cost)
        self._slices = {at: count for at, count in self._slices.items() if self._leaves(at) > now}
        self._waiting = {flow: until for flow, until in self._waiting.items() if until > now}
        if self.limit and self.reset <= now:
            self.left, self.reset, self.told = self.limit, now + self.terms.window, False

    def _refusal(self, now: int, flow: Flow, cost: int, gone: Collection[str]) -> tuple[Reason, int]:
        if self.blocked > now:
            return "blocked", self.blocked
        if not self._affords(flow.lane, cost):
            return "budget", self._refills(now)
        if self._is_full(now, cost, gone):
            return "slot", now + SOON
        if self._is_behind(flow):
            return "turn", now + SOON
        return "", 0

    def _affords(self, lane: Lane, cost: int) -> bool:
        total = self.limit or self.terms.limit
        spare = self.left if self.limit else total - self._used(cost)
        kept = total * KEPT[lane] // 100
        return spare - kept >= min(cost, total - kept)

    def _refills(self, now: int) -> int:
        if self.limit:
            return self.reset
        return min((self._leaves(at) for at in self._slices), default=now + SOON)

    def _is_full(self, now: int, cost: int, gone: Collection[str]) -> bool:
        most = max(self.terms.concurrency // cost, 1)
        if len(self.slots) >= most:
            for ticket in [one for one in self.slots if one.rpartition(":")[0] in gone]:
                del self.slots[ticket]
                self._count(now, cost)
        return len(self.slots) >= most

    def _is_behind(self, flow: Flow) -> bool:
        """Start-time fair queueing, between workspaces and then between the lanes of one."""
        return any(
            self._start("", other.workspace) < self._start("", flow.workspace)
            if other.workspace != flow.workspace
            else self._start(flow.workspace, other.lane) < self._start(flow.workspace, flow.lane)
            for other in self._waiting
        )

    def _serve(self, flow: Flow) -> None:
        """Who was away begins where the others are: idling earns nothing."""
        for within, name in (("", flow.workspace), (flow.workspace, flow.lane)):
            start = self._start(within, name)
            self._served[within, ""] = start
            self._served[within, name] = start + 1
        self._forget_idle()

    def _forget_idle(self) -> None:
        """Whom the others have passed begins where they are: there is nothing to remember of a workspace like that."""
        reached = self._served["", ""]
        gone = {name for (within, name), at in self._served.items() if not within and name and at < reached}
        for within, name in list(self._served):
            if (within or name) in gone:
                del self._served[within, name]

    def _start(self, within: str, name: str) -> int:
        return max(self._served.get((within, name), 0), self._served.get((within, ""), 0))

    def _learn(self, told: Told, cost: int) -> None:
        """Within one window the least that was ever left counts, whatever order the answers arrive in."""
        if not self.told or told.reset > self.reset + SAME_WINDOW:
            self.limit, self.reset, self.told = told.limit, told.reset, True
            self.left = max(told.left - cost * len(self.slots), 0)
        elif told.reset >= self.reset - SAME_WINDOW:
            self.limit = told.limit
            self.left = min(self.left, told.left)

    def _count(self, now: int, cost: int) -> None:
        at = now // self._width
        self._slices[at] = self._slices.get(at, 0) + cost

    def _used(self, cost: int) -> int:
        return sum(self._slices.values()) + cost * len(self.slots)

    def _leaves(self, at: int) -> int:
        return (at + 1) * self._width + self.terms.window
