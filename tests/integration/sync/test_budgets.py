"""Budgets and breakers as sync lives with them: who waits, who is told, who goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from libs.common.database.pool import Connection, Pool
from libs.common.ids import new_id
from libs.common.limits.ledger import Ledger
from libs.common.limits.rules import Flow
from libs.common.limits.shared import Outcome, Shared
from libs.common.provider.budgets import Budgets, Credential, credential_of
from libs.common.provider.client import Budget
from libs.common.provider.gate import Gates
from libs.common.provider.manifest import Limits
from libs.common.telemetry.metrics import value
from libs.common.testing.eventually import eventually
from libs.local.valkey import Valkey
from services.sync.app import create_gates
from services.sync.repository import integrations, leases
from services.sync.repository.integrations import Integration
from services.sync.repository.leases import Wanted
from services.sync.settings import SyncSettings
from services.sync.workers.executor import Executor
from services.sync.workers.grants import Grant
from tests.integration.sync.conftest import API_KEY
from tests.integration.sync.double import MANIFEST, Answer, World
from tests.integration.sync.engine import Broker, Engine
from tests.support.figures import Tell, long_run

API = "https://api.double.test"
PATIENT = msgspec.structs.replace(MANIFEST, limits=Limits(requests_per_hour=3600, window_seconds=600, concurrency=50))
MakeEngine = Callable[[], Awaitable["Limited"]]


class Limited(Engine):
    """A replica whose calls pass a gate. All of them are of one account, whatever the workspace."""

    def __init__(self, redis: str, secret: bytes, *parts: Any) -> None:
        super().__init__(*parts)
        self.broker.budget_key = secret
        ledger = Ledger(Shared(redis, seconds=5.0), self.deps.clock, self.deps.owner, replicas=4)
        gates = Gates(Budgets(ledger))
        self.deps = replace(self.deps, gates=gates, manifest_of=lambda _: PATIENT)
        self.gates = gates
        self.executor = Executor(self.deps)

    async def itself(self) -> Integration:
        async with self.deps.db.transaction(self.workspace) as tx:
            found = await integrations.find(tx, self.integration)
        assert found is not None
        return found

    async def close(self) -> None:
        await self.gates.close()
        await super().close()


@pytest.fixture
async def make(
    settings: SyncSettings, world: World, admin: asyncpg.Connection[asyncpg.Record], valkey: Valkey
) -> AsyncIterator[MakeEngine]:
    made: list[Limited] = []
    secret = new_id().encode()  # of this test: its accounts are no other's

    async def one() -> Limited:
        made.append(Limited(valkey.url, secret, settings, world, Broker(), admin))
        return made[-1]

    yield one
    for engine in made:
        await engine.close()


async def ready_to_work(engine: Limited, repository: str) -> None:
    await engine.connect(repository, features=("issues",))
    await engine.discover()


async def test_spent_account_parks_its_other_workspaces_without_asking_for_them(make: MakeEngine, world: World) -> None:
    world.repo("r1", items=3)
    world.repo("r2", items=3)
    first, second = await make(), await make()
    await ready_to_work(first, "r1")
    await ready_to_work(second, "r2")
    await first.admin.execute("UPDATE work SET priority = -1 WHERE workspace_id = $1", first.workspace)
    at = await credential_place(first)
    until = datetime.now(UTC) + timedelta(seconds=90)
    await spend_all(first, at, until)
    asked = len(world.log)

    assert await first.work() == 1
    assert len(world.log) == asked
    parked = await first.admin.fetch("SELECT workspace_id, parked_until, run_at FROM work")
    assert {row["workspace_id"] for row in parked} == {first.workspace, second.workspace}
    for row in parked:
        assert abs(row["parked_until"] - until) < timedelta(seconds=2)
        assert row["run_at"] >= row["parked_until"]
    assert await first.admin.fetchval("SELECT count(*) FROM run WHERE state = 'parked'") == 2
    assert await first.one("SELECT max(error_count) FROM observed_state") == 0


async def credential_place(engine: Limited) -> Any:
    return engine.gates.budgets.place(credential(engine), API)


def credential(engine: Limited) -> Credential:
    return credential_of(engine.broker.lent(), PATIENT, holder=engine.integration)


async def left(engine: Limited) -> Budget | None:
    grant = Grant(engine.deps, await engine.itself())
    await grant.context()
    return await grant.left()


async def spend_all(engine: Limited, place: Any, until: datetime) -> None:
    """As when the provider asked another replica to wait."""
    wait = int((until - datetime.now(UTC)).total_seconds() * 1000)
    await engine.gates.budgets.ledger.settle(place, "another:1", Outcome(blocked_for=wait))


async def test_what_is_left_can_be_read_without_a_call(make: MakeEngine, world: World) -> None:
    world.repo("r1", items=3)
    engine = await make()
    await ready_to_work(engine, "r1")
    await engine.work()
    calls = len(world.log)
    budget = await left(engine)
    assert budget is not None
    assert (budget.limit, budget.remaining) == (600, 600 - calls)
    await spend_all(engine, await credential_place(engine), datetime.now(UTC) + timedelta(seconds=40))
    limited = await left(engine)
    assert limited is not None
    assert limited.remaining == 0
    assert len(world.log) == calls


async def open_breaker(engine: Limited) -> None:
    place = await credential_place(engine)
    for number in range(20):
        await engine.gates.budgets.ledger.settle(place, f"another:{number}", Outcome(failed=True))
    for number in range(2):  # two probes in vain: now it is open for four seconds
        await engine.gates.budgets.ledger.settle(place, f"another:{number}", Outcome(failed=True, probe=True))


async def test_open_breaker_parks_uncounted_says_so_and_work_goes_on_when_the_host_is_back(
    make: MakeEngine, world: World
) -> None:
    world.repo("r1", items=3)
    engine = await make()
    await ready_to_work(engine, "r1")
    asked = len(world.log)
    await open_breaker(engine)
    await engine.work()

    assert len(world.log) == asked
    assert await engine.one("SELECT attempts FROM work") == 0
    assert await engine.one("SELECT error_code FROM run_resource") == "breaker_open"
    assert await engine.one("SELECT error_code FROM resource") == "breaker_open"
    assert await engine.one("SELECT state FROM run") == "parked"
    assert await engine.one("SELECT coalesce(max(error_count), 0) FROM observed_state") == 0

    async def done() -> bool:
        await engine.work()
        return (await engine.run())["state"] == "succeeded"

    await eventually(done, timeout=30)
    assert await engine.one("SELECT error_code FROM resource") is None
    assert len(await engine.sources()) == 3


async def test_refusal_of_one_call_is_heard_by_every_replica(make: MakeEngine, world: World) -> None:
    world.repo("r1", items=3)
    world.repo("r2", items=3)
    first, second = await make(), await make()
    await ready_to_work(first, "r1")
    place = await credential_place(first)

    async def refuse(path: str) -> Answer | None:
        if "items" in path:
            await spend_all(first, place, datetime.now(UTC) + timedelta(seconds=60))
            return Answer(429, headers={"retry-after": "60"})
        return None

    world.faults.append(refuse)
    await first.work()
    asked = len(world.log)
    await ready_to_work(second, "r2")
    assert len(world.log) == asked
    assert await second.one("SELECT count(*) FROM discovery WHERE run_at > now() + interval '50 seconds'") == 1


async def test_manual_work_is_claimed_before_polls_and_a_small_workspace_beside_a_big_one(
    make: MakeEngine, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    """L03 on the order of claims: A asked for a hundred resources before B asked for one."""
    engine = await make()
    big, small, third = (f"ws-{name}-{new_id()}" for name in ("big", "small", "third"))

    async def want(workspace: str, count: int, cause: Any) -> None:
        wanted = Wanted(integration_id=new_id(), kind="poll", cause=cause, ticket=new_id())
        async with engine.deps.db.transaction(workspace) as tx:
            await leases.enqueue(tx, [f"{cause}-{number}-{new_id()}" for number in range(count)], wanted)

    await want(big, 100, "poll")
    await want(small, 1, "poll")
    await want(third, 1, "manual")
    await want(big, 1, "manual")
    order = []
    for _ in range(6):
        async with engine.deps.db.queue() as tx:
            claim = await leases.claim_work(tx, owner="me", lease=timedelta(seconds=60))
        assert claim is not None
        order.append((claim.workspace_id, claim.cause))
    assert set(order[:2]) == {(third, "manual"), (big, "manual")}
    assert (small, "poll") in order[2:4]
    assert order[4:] == [(big, "poll")] * 2


async def test_l11_hung_provider_holds_no_connection_while_the_api_is_asked(
    make: MakeEngine, world: World, figure: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        world.repo(f"r{number}", items=3)
    engine = await make()
    await engine.connect(*(f"r{number}" for number in range(4)), features=("issues",))
    await engine.discover()
    hung, go = asyncio.Semaphore(0), asyncio.Event()

    async def hang(path: str) -> None:
        if "items" in path:
            hung.release()
            await go.wait()

    world.faults.append(hang)
    working = [asyncio.create_task(Executor(engine.deps, number).step()) for number in range(4)]
    for _ in working:
        await hung.acquire()
    held = checkouts(monkeypatch)
    pools = [engine.deps.db._app, engine.deps.db._worker]
    # The leases are kept alive meanwhile, a moment each.
    await eventually(lambda: sum(pool.in_use for pool in pools) == 0, timeout=20)

    statuses = await ask_often(engine, 500)
    timeouts = sum(status != 200 for status in statuses)
    figure("L11_pool_timeouts", timeouts, "of_500_requests", 0)
    held.sort()
    figure("L11_longest_checkout", round(held[-1] * 1000, 1), "ms", 100)
    figure("L11_95_of_100_checkouts", round(held[len(held) * 95 // 100] * 1000, 1), "ms", 100)
    go.set()
    assert await asyncio.gather(*working) == [True] * 4
    assert timeouts == 0
    if long_run():  # told, not asserted elsewhere: a busy machine stops every clock
        assert held[len(held) * 95 // 100] <= 0.1
    assert (await engine.run())["state"] == "succeeded"


def checkouts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of every use of a connection from now on, whichever pool it is of."""
    held: list[float] = []
    since: dict[int, float] = {}
    take, give_back = Pool.take, Pool.give_back

    async def timed_take(pool: Pool) -> Connection:
        connection = await take(pool)
        since[id(connection)] = time.monotonic()
        return connection

    def timed_give_back(pool: Pool, connection: Connection) -> None:
        held.append(time.monotonic() - since.pop(id(connection), time.monotonic()))
        give_back(pool, connection)

    monkeypatch.setattr(Pool, "take", timed_take)
    monkeypatch.setattr(Pool, "give_back", timed_give_back)
    return held


async def ask_often(engine: Limited, count: int) -> list[int]:
    transport = httpx.ASGITransport(app=engine.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    run = (await engine.run())["id"]
    at_once = asyncio.Semaphore(4)
    async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as client:

        async def ask() -> int:
            async with at_once:
                return (await client.get(f"/v1/sync-runs/{run}")).status_code

        return await asyncio.gather(*(ask() for _ in range(count)))


@pytest.mark.parametrize("there", [True, False])
async def test_service_is_ready_without_redis_and_says_that_it_is_away(
    make: MakeEngine, settings: SyncSettings, valkey: Valkey, there: bool
) -> None:
    engine = await make()
    reached = msgspec.structs.replace(settings, redis_url=valkey.url if there else "redis://127.0.0.1:1/0")
    gates = create_gates(reached, engine.deps.clock, engine.deps.owner)
    engine.deps = replace(engine.deps, gates=gates)
    await gates.beat()
    transport = httpx.ASGITransport(app=engine.app())  # type: ignore[arg-type]  # ASGI by two names
    async with httpx.AsyncClient(transport=transport, base_url="http://sync") as client:
        answer = await client.get("/readyz")
    place = gates.budgets.place(credential(engine), API)
    assert (await gates.budgets.ledger.take(place, "me:1", Flow("w", "hint"), holder="h")).granted
    await gates.close()
    assert answer.status_code == 200
    assert answer.json()["checks"]["redis"] is there
    assert value("limits_shared") == there
