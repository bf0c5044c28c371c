"""Whose budget a call spends, and whether it may be made now: asked before each request, told after it."""

from __future__ import annotations

import asyncio
import hmac
import random
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec

from libs.common.errors import BreakerOpen, RateLimited
from libs.common.internal import AccessToken
from libs.common.limits.ledger import Ledger
from libs.common.limits.rules import Answer, Flow, Lane, Terms, Told
from libs.common.limits.shared import Outcome, Place
from libs.common.provider.client import Budget
from libs.common.provider.manifest import Limits, Manifest
from libs.common.telemetry.metrics import counter, gauge, histogram

# A worker's seconds, before it moves on. Nobody waits behind a hook, and it comes to its turn among many.
PATIENCE: Mapping[Lane, float] = {"hint": 0.5, "hook": 5.0, "manual": 1.0, "poll": 1.0}
LOOKS = 0.25  # whoever waits asks again at least so often, or loses the place in the queue
NEVER = datetime.min.replace(tzinfo=UTC)
ONE_TELLING = timedelta(seconds=1)
MOST_TELLINGS = 1_000
MOST_HOLDERS = 100_000
LONGEST_BLOCK = timedelta(hours=24)
AWAY_KEPT = 600_000  # as long as Redis keeps a breaker that nobody asks
UNLIMITED = Limits(requests_per_hour=1_000_000, concurrency=100)

_left = gauge("budget_left", "Calls left of the account that was asked for last", ["provider"])
_waits = histogram("budget_wait_seconds", "Seconds that a call waited in place for its turn", ["provider"])
_refusals = counter("budget_refusals_total", "Calls put off, so that their work parks", ["provider", "reason"])
_open = gauge("breakers_open", "Hosts that this process knows to be away", ["provider"])


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """`account` is the provider's own name of who spends: integrations of one account share it. "" is nobody's: the
    host has one budget for everybody. `holder` is the integration that asks.

    `key` keys the fingerprints: who reads Redis learns no account from them, not even by trying them all.
    """

    provider: str
    account: str
    holder: str
    limits: Limits = UNLIMITED
    key: bytes = b""


def credential_of(token: AccessToken, manifest: Manifest, *, holder: str) -> Credential:
    """The same for every service that was lent a token of this account, for whichever integration."""
    account = "" if manifest.connect == ("url",) else token.account or holder
    limits = manifest.limits or UNLIMITED
    return Credential(provider=manifest.id, account=account, holder=holder, limits=limits, key=token.budget_key)


class Pass(msgspec.Struct, kw_only=True):
    """One call that was let through, and what came of it. `failed` None says nothing of the host."""

    place: Place
    ticket: str
    probe: bool
    free: bool = False
    failed: bool | None = None
    told: Told | None = None
    blocked_until: datetime | None = None


class Budgets:
    """Of one process; the ledger has them in common with all others."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._tickets = 0
        self._freed: dict[str, asyncio.Event] = {}
        self._away: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._used: OrderedDict[str, Place] = OrderedDict()
        self._told_until: dict[str, datetime] = {}
        self._undoing: set[asyncio.Task[bool]] = set()

    async def left_of(self, credential: Credential, url: str) -> Budget | None:
        """What is left of the budget that a call to `url` would spend, for whoever plans ahead.

        None while nobody knows: no call was made for some two windows, so the manifest's limit holds. It takes nothing
        and asks no provider: Redis once, and without Redis what this process heard last. `remaining` is 0 while the
        provider's Retry-After runs; `resets_at` is when there is more.
        """
        place = self.place(credential, url)
        state = await self.ledger.look(place)
        if state is None:
            return None
        now = self.ledger.now()
        if state.limit:
            limit, left, reset = state.limit, state.left, state.reset
        else:
            limit, left, reset = place.terms.limit, place.terms.limit - state.used, now + place.terms.window
        if state.blocked > now:
            left, reset = 0, state.blocked
        return Budget(limit=limit, remaining=max(left, 0), resets_at=_moment(reset))

    async def sharers_to_tell(self, holder: str, until: datetime) -> list[str]:
        """The others that spend of the budget which `holder` used last; none if they were told of this wait before."""
        place = self._used.get(holder)
        if place is None or until <= self._told_until.get(place.account, NEVER):
            return []
        self._told_until[place.account] = until + ONE_TELLING
        self._forget_tellings()
        return [one for one in await self.ledger.holders(place) if one != holder]

    def _forget_tellings(self) -> None:
        if len(self._told_until) > MOST_TELLINGS:
            now = _moment(self.ledger.now())
            self._told_until = {account: until for account, until in self._told_until.items() if until > now}

    def place(self, credential: Credential, url: str) -> Place:
        host = urlsplit(url).netloc.lower()
        return Place(
            account=_fingerprint(credential.key, "account", credential.provider, host, credential.account),
            host=_fingerprint(credential.key, "host", credential.provider, host),
            terms=_terms(credential.limits),
        )

    async def enter(self, credential: Credential, flow: Flow, url: str) -> Pass:
        """Waits a moment for a turn. Raises RetryAfter: RateLimited or BreakerOpen."""
        place = self._use(credential, url)
        self._tickets += 1
        ticket = f"{self.ledger.owner}:{self._tickets}"
        began = asyncio.get_running_loop().time()
        while True:
            answer = await self._ask(place, ticket, flow, credential)
            waited = asyncio.get_running_loop().time() - began
            if answer.granted:
                _waits.labels(credential.provider).observe(waited)
                return Pass(place=place, ticket=ticket, probe=answer.probe)
            if not _worth_waiting(answer, PATIENCE[flow.lane] - waited):
                self._refuse(answer, credential.provider, place)
            await self._until_freed(place, min(answer.wait / 1000, LOOKS))

    async def leave(self, provider: str, passed: Pass) -> None:
        outcome = Outcome(
            free=passed.free, told=passed.told, blocked_for=self._blocked_for(passed), failed=passed.failed,
            probe=passed.probe,
        )  # fmt: skip
        is_open = await self.ledger.settle(passed.place, passed.ticket, outcome)
        self._note_host(provider, passed.place.host, is_open)
        if freed := self._freed.pop(passed.place.account, None):
            freed.set()

    def bounded(self, reset: int) -> int:
        """A window that ends in a year is looked at again tomorrow, and nothing of it stays in Redis for longer."""
        return min(reset, self.ledger.now() + int(LONGEST_BLOCK / timedelta(milliseconds=1)))

    def _use(self, credential: Credential, url: str) -> Place:
        place = self._used[credential.holder] = self.place(credential, url)
        self._used.move_to_end(credential.holder)
        if len(self._used) > MOST_HOLDERS:
            self._used.popitem(last=False)
        return place

    async def _ask(self, place: Place, ticket: str, flow: Flow, credential: Credential) -> Answer:
        try:
            answer = await self.ledger.take(place, ticket, flow, holder=credential.holder)
        except asyncio.CancelledError:
            self._undo(place, ticket)
            raise
        state = answer.state
        _left.labels(credential.provider).set(state.left if state.limit else place.terms.limit - state.used)
        return answer

    def _undo(self, place: Place, ticket: str) -> None:
        """It may have been granted when nobody waited for the answer any more."""
        undoing = asyncio.get_running_loop().create_task(self.ledger.settle(place, ticket, Outcome(free=True)))
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undoing.discard)

    def _refuse(self, answer: Answer, provider: str, place: Place) -> NoReturn:
        _refusals.labels(provider, answer.reason).inc()
        until = _moment(self.ledger.now() + answer.wait)
        if answer.reason == "breaker":
            self._note_host(provider, place.host, True)
            raise BreakerOpen(until=until)
        if answer.reason in ("slot", "turn"):
            soon = timedelta(seconds=random.uniform(0.5, 1.5))  # noqa: S311 - spreading load
            raise RateLimited("other calls of this account come first", until=until + soon, alone=True)
        raise RateLimited(until=until)

    def _blocked_for(self, passed: Pass) -> int:
        """A provider that asks for a year is asked again tomorrow."""
        if passed.blocked_until is None:
            return 0
        wait = min(passed.blocked_until - _moment(self.ledger.now()), LONGEST_BLOCK)
        return max(int(wait / timedelta(milliseconds=1)), 1)

    def forget_hosts(self) -> None:
        """A host that was away when it was called last, and is never called again, is none that anybody knows of."""
        gone = self.ledger.now() - AWAY_KEPT
        for provider, hosts in self._away.items():
            self._away[provider] = {host: noted for host, noted in hosts.items() if noted > gone}
            _open.labels(provider).set(len(self._away[provider]))

    def _note_host(self, provider: str, host: str, away: bool) -> None:
        hosts = self._away[provider]
        hosts.pop(host, None)
        if away:
            hosts[host] = self.ledger.now()
        _open.labels(provider).set(len(hosts))

    async def _until_freed(self, place: Place, seconds: float) -> None:
        """A call of this process that ends wakes its neighbours; of those of other replicas one hears by asking."""
        freed = self._freed.setdefault(place.account, asyncio.Event())
        try:
            async with asyncio.timeout(seconds * random.uniform(1.0, 1.5)):  # noqa: S311 - spreading load
                await freed.wait()
        except TimeoutError:
            return


def _fingerprint(key: bytes, *words: str) -> str:
    return hmac.new(key, "\0".join(words).encode(), sha256).hexdigest()[:32]


def _worth_waiting(answer: Answer, patience: float) -> bool:
    return answer.reason != "breaker" and patience > 0 and answer.wait / 1000 <= patience


def _terms(limits: Limits) -> Terms:
    limit = max(limits.requests_per_hour * limits.window_seconds // 3600, 1)
    return Terms(limit=limit, window=limits.window_seconds * 1000, concurrency=limits.concurrency)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
