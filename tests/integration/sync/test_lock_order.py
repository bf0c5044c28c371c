"""Everybody who writes one integration's rows at once: they wait for each other, and never in a ring."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, TypeAlias

import asyncpg

from libs.common.errors import SluiceError
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from services.sync import consumers
from services.sync.repository import leases
from services.sync.workers import outcomes
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine
from tests.support.figures import Tell, sized

Writer: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
KEPT, GIVEN = "r1", "r2"
ROUNDS = sized(60, 1000)


class Crowd:
    """Each member does one thing again and again; unexpected ends of it are kept."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.over = engine, asyncio.Event()
        self.failures: list[Exception] = []
        self.done: Counter[str] = Counter()

    async def repeat(self, act: Callable[[], Awaitable[object]]) -> None:
        """What the caller is told to try again or to mend is an answer, not a failure."""
        while not self.over.is_set():
            try:
                await act()
                self.done[act.__name__] += 1
            except SluiceError as error:
                if error.code == "internal":
                    self._fail(error)
            except Exception as error:
                self._fail(error)
            if self.done["choose"] >= ROUNDS:
                self.over.set()
            await asyncio.sleep(0)

    def _fail(self, error: Exception) -> None:
        self.failures.append(error)
        self.over.set()


async def test_choices_looks_hints_and_news_at_once_meet_in_no_ring(engine: Engine, world: World, figure: Tell) -> None:
    repos = [world.repo(name, items=4) for name in (KEPT, GIVEN)]
    await engine.sync(KEPT, GIVEN, features=("issues",), polling_enabled=True, monitor_changes=True)
    crowd, version, dice = Crowd(engine), count(1), random.Random(5)

    async def choose() -> None:
        await engine.choose(KEPT, GIVEN)
        await engine.choose(KEPT)

    async def look() -> None:
        await engine.due()
        await engine.schedule()
        await engine.work()

    async def hint() -> None:
        number = dice.randint(1, 4)
        dice.choice(repos).put(number, body=str(dice.random()))
        await engine.hint(dice.choice((KEPT, GIVEN)), "items", *dice.choice(((), (f"item:{number}",))))
        await engine.dirty()

    async def hooks() -> None:
        state = dice.choice(("active", "failing"))
        await consumers.on_subscription_changed(engine.hooks(next(version), state), engine.deps)

    async def configure() -> None:
        await engine.update(
            features=("issues",), polling_enabled=dice.random() < 0.7, monitor_changes=True, polling_interval=15
        )

    async def told() -> None:
        async with engine.deps.db.transaction(engine.workspace) as tx:
            row = await tx.fetch_one("SELECT id, version FROM source ORDER BY random() LIMIT 1")
        if row:
            await engine.indexed(row["id"], row["version"])

    async def work() -> None:
        await engine.work()

    async def sync() -> None:
        await engine.again()

    async def tidy() -> None:
        await engine.clean()
        await engine.report()

    members = [choose, look, hint, hint, hooks, configure, told, work, sync, tidy]
    tasks = [asyncio.create_task(crowd.repeat(act)) for act in members]
    try:
        await crowd.over.wait()
    finally:
        crowd.over.set()
        await asyncio.gather(*tasks)
    figure("lock_rings", len(crowd.failures), "failures", crowd.done.total())
    assert not crowd.failures, crowd.failures[0]


@asynccontextmanager
async def met(engine: Engine, dsn: str, held: str, act: Coroutine[Any, Any, None]) -> AsyncIterator[Writer]:
    """Within, another writer has `held` and `act` waits for it; afterwards both have ended."""
    writer = await asyncpg.connect(dsn, server_settings={"search_path": "sync"})
    try:
        async with writer.transaction():
            await writer.execute(held)
            acting = asyncio.create_task(act)

            async def act_waits() -> bool:
                return bool(await engine.one("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await eventually(act_waits)
            yield writer
    finally:
        await writer.close()
    await acting


async def test_plan_made_while_a_resource_is_given_up_holds_nothing_that_this_needs(
    engine: Engine, world: World, sync_schema: Postgres
) -> None:
    world.repo(KEPT, items=1)
    await engine.sync(KEPT, features=("issues",), polling_enabled=True)
    plan = consumers.on_subscription_changed(engine.hooks(1, "active"), engine.deps)
    async with met(engine, sync_schema.dsn("postgres"), "SELECT FROM poll_schedule FOR UPDATE", plan) as writer:
        await writer.execute("SELECT FROM resource_watch FOR UPDATE NOWAIT")


async def test_look_that_ends_while_its_resource_is_written_holds_nothing_that_follows(
    engine: Engine, world: World, sync_schema: Postgres
) -> None:
    world.repo(KEPT, items=1)
    await engine.sync(KEPT, features=("issues",), polling_enabled=True)
    await engine.due()
    await engine.schedule()
    async with engine.deps.db.queue() as tx:
        claim = await leases.claim_work(tx, owner="a worker", lease=timedelta(minutes=1))
    assert claim is not None
    end = outcomes.succeed(engine.deps, claim, complete=True)
    async with met(engine, sync_schema.dsn("postgres"), "SELECT FROM resource FOR NO KEY UPDATE", end) as writer:
        await writer.execute("SELECT FROM poll_schedule FOR UPDATE NOWAIT")
        await writer.execute("SELECT FROM resource_watch FOR UPDATE NOWAIT")
