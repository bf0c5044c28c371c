"""One grant's way to its provider: every call passes its budget and its host's breaker, and is repeated here alone."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from libs.common.errors import ProviderUnavailable
from libs.common.limits.rules import Flow, Lane, Told
from libs.common.provider.budgets import Budgets, Credential, Pass
from libs.common.provider.client import Budget
from libs.common.telemetry.metrics import counter

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
AGAIN = frozenset({502, 503, 504})
MOST_RETRIES = 2
FIRST_WAIT = 0.2
SHARE = 0.1
FIRST_CREDIT = 3.0
MOST_CREDIT = 5.0
MOST_HOSTS = 10_000

_retries = counter("provider_retries_total", "Calls made once more after a passing failure", ["provider"])


class Answered(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


R = TypeVar("R", bound=Answered)


class Retries:
    """Of one process: a retry for every ten calls to a host, so that an outage is not answered with a flood."""

    def __init__(self) -> None:
        self._credit: OrderedDict[str, float] = OrderedDict()

    def earn(self, host: str) -> None:
        self._credit[host] = min(self._credit.pop(host, FIRST_CREDIT) + SHARE, MOST_CREDIT)
        if len(self._credit) > MOST_HOSTS:
            self._credit.popitem(last=False)

    def spend(self, host: str) -> bool:
        if self._credit.get(host, FIRST_CREDIT) < 1:
            return False
        self._credit[host] = self._credit.get(host, FIRST_CREDIT) - 1
        return True


class Gates:
    """Of one process: the budgets that all replicas share, and its own credit for retries."""

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets
        self._retries = Retries()

    def open(self, credential: Credential, *, workspace: str, lane: Lane) -> Gate:
        return Gate(self.budgets, self._retries, credential, Flow(workspace, lane))

    @property
    def shared(self) -> bool:
        """False while Redis is away and this process spends its own part."""
        return self.budgets.ledger.up

    async def beat(self) -> bool:
        """A worker's step; there is never more to do at once."""
        await self.budgets.ledger.beat()
        self.budgets.forget_hosts()
        return False

    async def close(self) -> None:
        await self.budgets.ledger.close()


class Gate:
    def __init__(self, budgets: Budgets, retries: Retries, credential: Credential, flow: Flow) -> None:
        self._budgets = budgets
        self._retries = retries
        self._credential = credential
        self._flow = flow
        self._last: Pass | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def call(self, method: str, url: str, send: Callable[[], Awaitable[R]]) -> R:
        """Each try is paid for. Raises RetryAfter, or what `send` raised last."""
        for attempt in range(MOST_RETRIES + 1):
            passed = await self._enter(url)
            if attempt == 0:
                self._retries.earn(passed.place.host)
            may_repeat = method in IDEMPOTENT and attempt < MOST_RETRIES
            try:
                answer = await self._send(passed, send)
            except ProviderUnavailable:
                if not (may_repeat and self._retries.spend(passed.place.host)):
                    raise
            else:
                if not (may_repeat and _is_passing(answer) and self._retries.spend(passed.place.host)):
                    return answer
            _retries.labels(self._credential.provider).inc()
            await asyncio.sleep(random.uniform(0, FIRST_WAIT * 2**attempt))  # noqa: S311 - spreading load
        raise ProviderUnavailable

    def note_budget(self, budget: Budget) -> None:
        """Of the answer that came last; budgets beside the main one are the provider's own affair."""
        if self._last is not None and budget.resource == "core":
            reset = self._budgets.bounded(int(budget.resets_at.timestamp() * 1000))
            self._last.told = Told(limit=budget.limit, left=budget.remaining, reset=reset)

    def note_limit(self, until: datetime) -> None:
        """The answer that came last asked everybody to wait."""
        if self._last is not None:
            self._last.blocked_until = until

    async def _enter(self, url: str) -> Pass:
        if self._leaving:
            await asyncio.wait(self._leaving)
        return await self._budgets.enter(self._credential, self._flow, url)

    async def _send(self, passed: Pass, send: Callable[[], Awaitable[R]]) -> R:
        try:
            answer = await send()
            passed.failed = _says_of_host(answer.status, probe=passed.probe)
            passed.free = answer.status == 304 and self._credential.limits.not_modified_is_free
            return answer
        except ProviderUnavailable:
            passed.failed = True
            raise
        finally:
            self._leave(passed)

    def _leave(self, passed: Pass) -> None:
        """In a task: it starts after the caller has read the answer's headers, which it does without awaiting."""
        self._last = passed
        leaving = asyncio.get_running_loop().create_task(self._budgets.leave(self._credential.provider, passed))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


def _says_of_host(status: int, *, probe: bool) -> bool | None:
    """4xx say that somebody is there, and nothing of how well: they count for a probe alone."""
    return None if 400 <= status < 500 and not probe else status >= 500


def _is_passing(answer: Answered) -> bool:
    return answer.status in AGAIN and "retry-after" not in answer.headers
