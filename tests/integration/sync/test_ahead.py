"""A page is asked for while the one before it is committed: what may happen to either says nothing of the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.common.database.transaction import Transaction
from libs.common.errors import DependencyDown
from libs.common.testing.eventually import eventually
from services.sync.domain.plan import Batch
from services.sync.repository import leases
from services.sync.use_cases.apply import Applied, apply_batch
from services.sync.workers import pages
from services.sync.workers.executor import Executor
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine

Apply = Callable[[Transaction, Batch], Awaitable[Applied]]


class Door:
    """Holds the commit of one page (by its first key) until it is opened."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def apply(self, tx: Transaction, batch: Batch) -> Applied:
        if any(item.key == self.key for item in batch.observed):
            self.reached.set()
            await self.open.wait()
        return await apply_batch(tx, batch)


def hold(monkeypatch: pytest.MonkeyPatch, key: str) -> Door:
    door = Door(key)
    monkeypatch.setattr(pages, "apply_batch", door.apply)
    return door


def asked(world: World) -> list[int]:
    return [int(path.rsplit("=", 1)[1]) for path, _ in world.log if "/items?" in path]


def ahead() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "page ahead"]


async def begin(engine: Engine, world: World, *, items: int = 50) -> None:
    world.repo("r1", items=items)
    await engine.connect(features=("issues",))
    await engine.discover()


async def test_next_page_is_asked_for_before_this_one_is_committed_and_no_other(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)
    door = hold(monkeypatch, "item:11")
    working = asyncio.create_task(Executor(engine.deps).step())
    await door.reached.wait()
    await eventually(lambda: 2 in asked(world), timeout=30)
    assert asked(world) == [0, 1, 2]
    assert len(await engine.sources()) == 10

    door.open.set()
    await working
    assert asked(world) == [0, 1, 2, 3, 4]
    assert len(await engine.sources()) == 50


@pytest.mark.parametrize("fault", [Answer(503), Answer(200, b'{"rows": ['), Answer(429, headers={"retry-after": "60"})])
async def test_page_that_fails_ahead_leaves_the_cursor_behind_the_committed_one(
    engine: Engine, world: World, fault: Answer
) -> None:
    await begin(engine, world)
    world.faults.append(lambda path: fault if "page=2" in path and path not in dict(world.log) else None)
    await Executor(engine.deps).step()

    assert len(await engine.sources()) == 20
    assert await engine.one("SELECT cursor->>'page' FROM resource_stream WHERE stream = 'items'") == "2"
    limited = fault.status == 429
    assert await engine.one("SELECT state FROM run_resource") == ("parked" if limited else "queued")
    assert await engine.one("SELECT parked_until > now() FROM work") is (True if limited else None)

    await engine.admin.execute("UPDATE work SET run_at = now(), parked_until = NULL")
    await engine.work()
    assert len(await engine.sources()) == 50
    assert asked(world) == [0, 1, 2, 2, 3, 4]


async def test_page_ahead_is_thrown_away_when_this_one_cannot_be_committed(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)

    async def fails(tx: Transaction, batch: Batch) -> Applied:
        if any(item.key == "item:11" for item in batch.observed):
            await eventually(lambda: 2 in asked(world), timeout=30)
            raise DependencyDown("Postgres is away")
        return await apply_batch(tx, batch)

    monkeypatch.setattr(pages, "apply_batch", fails)
    await Executor(engine.deps).step()
    assert len(await engine.sources()) == 10
    assert ahead() == []

    monkeypatch.setattr(pages, "apply_batch", apply_batch)
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert len(await engine.sources()) == 50
    assert max(map(asked(world).count, asked(world))) == 2
    assert await engine.one("SELECT created FROM run_resource") == 50


@pytest.mark.parametrize("how", ["paused", "taken over", "killed"])
async def test_owner_that_is_stopped_between_two_pages_leaves_no_task_and_writes_nothing(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    await begin(engine, world)
    door = hold(monkeypatch, "item:11")
    stuck = asyncio.Event()

    async def hang(path: str) -> None:
        if "page=2" in path and not stuck.is_set():
            stuck.set()
            await asyncio.Event().wait()

    world.faults.append(hang)
    working = asyncio.create_task(Executor(engine.deps).step())
    await asyncio.wait_for(asyncio.gather(door.reached.wait(), stuck.wait()), 10)
    assert ahead() == ["page ahead"]

    # The page in the door holds its lease's row: it is committed or rolled back before anything else happens to it.
    if how == "killed":
        working.cancel()
    else:
        moved = asyncio.create_task(_lose(engine, how))
        door.open.set()
        await moved
    await asyncio.gather(working, return_exceptions=True)
    assert ahead() == []
    assert len(await engine.sources()) == (10 if how == "killed" else 20)

    monkeypatch.setattr(pages, "apply_batch", apply_batch)
    await engine.admin.execute("UPDATE work SET paused = false, run_at = now(), lease_until = '-infinity'")
    await engine.work()
    assert len(await engine.sources()) == 50
    assert len(await engine.events()) == 50


async def _lose(engine: Engine, how: str) -> None:
    async with engine.deps.db.transaction(engine.workspace) as tx:
        if how == "paused":
            await leases.pause(tx, engine.integration, paused=True)
        else:
            await leases.take_away(tx, engine.integration)


async def test_stop_between_pages_asks_for_no_further_page(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)
    stop = asyncio.Event()

    async def hurried(tx: Transaction, batch: Batch) -> Applied:
        stop.set()
        return await apply_batch(tx, batch)

    monkeypatch.setattr(pages, "apply_batch", hurried)
    executor = Executor(engine.deps)
    engine.deps.wakes.work.set()
    await asyncio.wait_for(executor.run(stop), 10)

    assert ahead() == []
    assert len(await engine.sources()) == 10
    assert await engine.one("SELECT run_at <= now() AND lease_until < now() FROM work") is True
    assert asked(world) in ([0], [0, 1])


async def test_validators_of_a_page_ahead_are_saved_with_that_page(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a 304 would later stand for rows that were never stored."""
    await begin(engine, world)
    door = hold(monkeypatch, "item:11")
    working = asyncio.create_task(Executor(engine.deps).step())
    await door.reached.wait()
    await eventually(lambda: 2 in asked(world), timeout=30)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert await engine.one("SELECT count(*) FROM validator") == 1
    assert await engine.one("SELECT requests FROM run_resource") == 1


async def test_object_that_a_hint_renewed_while_its_page_waited_stays_renewed(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)
    door = hold(monkeypatch, "item:1")
    working = asyncio.create_task(Executor(engine.deps).step())
    await door.reached.wait()
    await eventually(lambda: 1 in asked(world), timeout=30)
    world.repos["r1"].put(15, title="New 15")
    await engine.hint("r1", "items", "item:15", of="issue")
    looking = asyncio.create_task(engine.dirty())
    door.open.set()
    await asyncio.wait_for(asyncio.gather(working, looking), 20)
    await engine.dirty()

    assert (await engine.sources())["item:15"]["name"] == "New 15"
