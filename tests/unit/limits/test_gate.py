"""The gate before every call, in a process that has no Redis: what is repeated, what is told, what never is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.clock import FixedClock
from libs.common.errors import BreakerOpen, DependencyDown, ProviderUnavailable, RateLimited
from libs.common.internal import AccessToken
from libs.common.limits.ledger import Ledger
from libs.common.provider import budgets as budgets_module
from libs.common.provider import gate as gate_module
from libs.common.provider.budgets import Budgets, Credential, credential_of
from libs.common.provider.client import Budget
from libs.common.provider.gate import Gate, Gates
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Limits
from libs.common.telemetry.metrics import value
from libs.providers import registry
from libs.providers.github.client import get

NOW = datetime.now(UTC).replace(microsecond=0)
API = "https://api.example.test"
LIMITS = Limits(requests_per_hour=3600, concurrency=2, not_modified_is_free=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "FIRST_WAIT", 0.002)


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str] = {}
    body: bytes = b"{}"
    url: str = API


class NoRedis:
    async def __call__(self, *_: Any, **__: Any) -> Any:
        raise DependencyDown

    take = settle = look = beat = holders = close = __call__


class World:
    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.clock = FixedClock(NOW)
        self.budgets = Budgets(Ledger(NoRedis(), self.clock, "me", replicas=1))  # type: ignore[arg-type]
        self.gates = Gates(self.budgets)
        self.credential = Credential(provider="github", account="7", holder="i1", limits=LIMITS)

    def http(self) -> GrantedHttp:
        made = GrantedHttp(self, api_url=API, base_url=API, token="t0k3n")
        made.gate = self.gates.open(self.credential, workspace="w", lane="hint")
        return made

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def left(self) -> Budget:
        await asyncio.sleep(0.01)
        found = await self.budgets.left_of(self.credential, API)
        assert found is not None
        return found


async def told(gate: Gate | None) -> None:
    """Until what came last has been told."""
    assert gate is not None
    await asyncio.gather(*gate._leaving)


async def test_passing_failure_is_repeated_once_or_twice_and_each_try_is_paid_for() -> None:
    world = World(Answer(503), ProviderUnavailable("gone"), Answer(200))
    assert (await world.http().request("GET", "/x")).status == 200
    assert world.asked == 3
    assert (await world.left()).remaining == 3600 // 5 - 3  # of an account never met a fifth is trusted to be left


async def test_write_is_never_repeated() -> None:
    world = World(Answer(503))
    assert (await world.http().request("POST", "/x")).status == 503
    assert world.asked == 1


async def test_answer_that_says_when_to_come_back_is_not_repeated() -> None:
    world = World(Answer(503, {"retry-after": "5"}))
    assert (await world.http().request("GET", "/x")).status == 503
    assert world.asked == 1


async def open_breaker(http: GrantedHttp, method: str) -> datetime:
    async def call_on() -> None:
        while True:
            await http.request(method, "/x")

    with pytest.raises(BreakerOpen) as refusal:
        await call_on()
    return refusal.value.until


async def test_outage_is_not_answered_with_more_calls_than_before_and_ends_in_an_open_breaker() -> None:
    world, retried = World(Answer(503)), value("provider_retries_total", provider="github")
    http = world.http()
    until = await open_breaker(http, "GET")
    assert world.asked == 20
    assert value("provider_retries_total", provider="github") - retried <= 5
    assert until == NOW + timedelta(seconds=1)


async def test_host_that_is_never_called_again_is_not_shown_as_away_for_ever() -> None:
    world = World(Answer(503))
    http = world.http()
    await open_breaker(http, "POST")
    assert value("breakers_open", provider="github") == 1
    world.clock.move(timedelta(minutes=9))
    await world.gates.beat()
    assert value("breakers_open", provider="github") == 1
    world.clock.move(timedelta(minutes=2))
    await world.gates.beat()
    assert value("breakers_open", provider="github") == 0


async def test_probe_that_is_answered_at_all_closes_the_breaker() -> None:
    world = World(Answer(503))
    http = world.http()
    await open_breaker(http, "POST")
    world.clock.move(timedelta(seconds=1))
    world.answers = [Answer(404), Answer(200)]
    assert (await http.request("GET", "/x")).status == 404
    assert (await http.request("GET", "/x")).status == 200


async def test_window_that_would_end_in_years_is_looked_at_again_tomorrow() -> None:
    headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}
    world = World(Answer(200, headers))
    http = world.http()
    await get(http, "/x")
    await told(http.gate)
    with pytest.raises(RateLimited) as refusal:
        await get(http, "/x")
    assert refusal.value.until == NOW + timedelta(hours=24)


async def test_limit_is_heard_from_the_answer_before_anyone_calls_again() -> None:
    world = World(Answer(403, {"retry-after": "60"}))
    http, neighbour = world.http(), world.http()
    with pytest.raises(RateLimited) as first:
        await get(http, "/x")
    await told(http.gate)
    with pytest.raises(RateLimited) as second:
        await get(neighbour, "/x")
    assert world.asked == 1
    assert not second.value.alone
    assert abs((second.value.until - NOW).total_seconds() - (first.value.until - NOW).total_seconds()) < 1


async def test_headers_are_learned_and_a_304_costs_nothing() -> None:
    reset = str(int((NOW + timedelta(hours=1)).timestamp()))
    headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": reset}
    world = World(Answer(200, headers), Answer(304))
    http = world.http()
    await get(http, "/x")
    assert (await world.left()).remaining == 4000
    await get(http, "/x")
    assert (await world.left()).remaining == 4000
    assert (await world.left()).limit == 5000


async def test_call_that_finds_no_slot_in_time_is_put_off_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Answer(200))
    release = asyncio.Event()

    async def slow() -> Answer:
        await release.wait()
        return Answer(200)

    def open_gate() -> Gate:
        return world.gates.open(world.credential, workspace="w", lane="hint")

    holding = [asyncio.create_task(open_gate().call("GET", API, slow)) for _ in range(2)]
    await asyncio.sleep(0)
    monkeypatch.setattr(budgets_module, "PATIENCE", {"hint": 0.02})
    with pytest.raises(RateLimited) as refusal:
        await open_gate().call("GET", API, slow)
    assert refusal.value.alone
    monkeypatch.setattr(budgets_module, "PATIENCE", {"hint": 20})
    waiting = asyncio.create_task(open_gate().call("GET", API, slow))
    release.set()
    assert [one.status for one in await asyncio.gather(*holding, waiting)] == [200] * 3


def test_fingerprint_is_of_the_account_and_tells_neither_it_nor_the_token() -> None:
    world = World(Answer(200))
    mine = world.budgets.place(world.credential, API)
    of_another_integration = msgspec.structs.replace(world.credential, holder="i2")
    assert world.budgets.place(of_another_integration, f"{API}/deep") == mine
    assert world.budgets.place(msgspec.structs.replace(world.credential, account="8"), API).account != mine.account
    assert world.budgets.place(world.credential, "https://other.test").host != mine.host
    keyed_otherwise = world.budgets.place(msgspec.structs.replace(world.credential, key=b"another"), API)
    assert (keyed_otherwise.account != mine.account, keyed_otherwise.host != mine.host) == (True, True)


def token_of(account: str) -> AccessToken:
    return AccessToken(token="t", version=1, expires_at=None, provider="github", config={}, account=account)


def test_integrations_of_one_account_are_one_credential_and_a_site_is_nobodys() -> None:
    place = World(Answer(200)).budgets.place
    github, site = registry.manifest("github"), registry.manifest("docusaurus")
    one, other = (credential_of(token_of("7"), github, holder=holder) for holder in ("i1", "i2"))
    assert place(one, API) == place(other, API)
    unknown, another = (credential_of(token_of(""), github, holder=holder) for holder in ("i1", "i2"))
    assert len({place(each, API).account for each in (one, unknown, another)}) == 3
    assert credential_of(token_of("7"), site, holder="i1").account == ""
