"""Everybody who writes one integration's rows at once: they wait for each other, and never in a ring."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, TypeAlias

import asyncpg

from libs.common.errors import Contended, SluiceError
from libs.common.events import Hint, WebhookReceived
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from services.sync import consumers
from services.sync.repository import dirty, leases, runs
from services.sync.use_cases.runs import park_integration
from services.sync.workers import outcomes
from services.sync.workers.parking import NOBODY
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
        """What the caller is told to try again or to mend is an answer, not a failure; a ring is one whoever met it."""
        while not self.over.is_set():
            try:
                await act()
                self.done[act.__name__] += 1
            except Exception as error:
                if any(_is_wrong(one) for one in _each(error)):
                    self._fail(error)
            if self.done["choose"] >= ROUNDS:
                self.over.set()
            await asyncio.sleep(0)

    def _fail(self, error: Exception) -> None:
        self.failures.append(error)
        self.over.set()


def _each(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for below in error.exceptions:
            yield from _each(below)
    else:
        yield error


def _is_wrong(error: Exception) -> bool:
    """A wait for a lock that took too long is a slow machine's."""
    if isinstance(error, SluiceError):
        return error.code == "internal" or isinstance(error.__cause__, asyncpg.DeadlockDetectedError)
    return True


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


async def test_choice_that_waits_for_a_run_to_be_opened_holds_no_work(
    engine: Engine, world: World, sync_schema: Postgres
) -> None:
    for name in (KEPT, GIVEN):
        world.repo(name, items=1)
    await engine.sync(KEPT, features=("issues",))
    await engine.hint(KEPT, "items")
    assert await engine.one("SELECT count(*) FROM work") == 1
    opened = runs.TURN.replace(":id", f"'{engine.integration}'")
    opened += "; INSERT INTO run (id, workspace_id, integration_id, cause) VALUES"
    opened += f" ('another', '{engine.workspace}', '{engine.integration}', 'manual')"
    async with met(engine, sync_schema.dsn("postgres"), opened, _choose_both(engine)) as writer:
        await writer.execute("SELECT FROM work FOR UPDATE NOWAIT")


async def _choose_both(engine: Engine) -> None:
    await engine.choose(KEPT, GIVEN)


async def test_deliveries_about_several_resources_waits_and_pauses_at_once_meet_in_no_ring(
    engine: Engine, world: World, figure: Tell
) -> None:
    """Each writes rows of all six resources in one transaction; whoever meets another in a ring would be Contended."""
    names = [f"r{number}" for number in range(6)]
    for name in names:
        world.repo(name, items=1)
    await engine.sync(*names, features=("issues",))
    deps, dice, met = engine.deps, random.Random(7), Counter[str]()
    keys = [f"item:{number}" for number in range(8)]

    async def deliver() -> None:
        hints = [Hint(resource_external_id=name, stream="items", keys=tuple(keys)) for name in names]
        whole = [Hint(resource_external_id=name, stream="notes") for name in names]
        event = WebhookReceived(
            workspace_id=engine.workspace, integration_id=engine.integration, delivery_id=new_id(), provider="double",
            event="changed", hints=tuple(dice.sample(hints + whole, 12)), received_at=deps.clock.now(),
        )  # fmt: skip
        await consumers.on_webhook(event, deps)

    async def park() -> None:
        async with deps.db.transaction(engine.workspace) as tx:
            await park_integration(tx, engine.integration, deps.clock.now(), epoch=NOBODY)

    async def pause() -> None:
        for paused in (True, False):
            async with deps.db.transaction(engine.workspace) as tx:
                await leases.pause(tx, engine.integration, paused=paused)

    async def lose() -> None:
        async with deps.db.transaction(engine.workspace) as tx:
            await leases.take_away(tx, engine.integration)

    async def read() -> None:
        """Its own keys as long as nobody takes them away."""
        async with deps.db.queue() as tx:
            claim = await dirty.claim(tx, owner=deps.owner, lease=timedelta(minutes=1), most=50, share=9)
        if claim is None:
            return
        async with deps.db.queue() as tx:
            await leases.beat(tx, "dirty_object", claim.resource_id, epoch=claim.epoch, lease=timedelta(minutes=1))
        async with deps.db.transaction(engine.workspace) as tx:
            await dirty.postpone(tx, claim, after=timedelta(), count=False)

    async def repeat(act: Callable[[], Awaitable[None]]) -> None:
        for _ in range(sized(25, 500)):
            try:
                await act()
                met["done"] += 1
            except Contended as error:  # a wait that took too long is a slow machine's
                met["rings"] += isinstance(error.__cause__, asyncpg.DeadlockDetectedError)

    await asyncio.gather(*(repeat(act) for act in (deliver, deliver, park, park, pause, lose, read, read)))
    figure("hint_rings", met["rings"], "rings", met["done"])
    assert met["rings"] == 0
