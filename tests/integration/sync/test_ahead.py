"""Pages are asked for while those before them are committed: what may happen to either says nothing of the other."""

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
from services.sync.workers.ahead import MOST_WAITING
from services.sync.workers.executor import Executor
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine

Apply = Callable[[Transaction, Batch], Awaitable[Applied]]


class Door:
    """Holds the commit of one page (by a key of it), and of what it was joined with, until it is opened."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.held = 0
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def apply(self, tx: Transaction, batch: Batch) -> Applied:
        if any(item.key == self.key for item in batch.observed):
            self.held = len(batch.observed)
            self.reached.set()
            await self.open.wait()
        return await apply_batch(tx, batch)


def hold(monkeypatch: pytest.MonkeyPatch, key: str) -> Door:
    door = Door(key)
    monkeypatch.setattr(pages, "apply_batch", door.apply)
    return door


async def held_at(door: Door, engine: Engine) -> asyncio.Task[bool]:
    """The work of an executor, when it has come to the door."""
    working = asyncio.create_task(Executor(engine.deps).step())
    await door.reached.wait()
    return working


def asked(world: World) -> list[int]:
    return [int(path.rsplit("=", 1)[1]) for path, _ in world.log if "/items?" in path]


def ahead() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "page ahead"]


def keep_until_stored(engine: Engine, world: World, page: int) -> None:
    """This page does not come before all before it are committed."""

    async def keep(path: str) -> None:
        if f"page={page}" in path:
            await eventually(stored, timeout=30)

    async def stored() -> bool:
        return len(await engine.sources()) == page * world.page_size

    world.faults.append(keep)


async def begin(engine: Engine, world: World, *, items: int = 50) -> None:
    world.repo("r1", items=items)
    await engine.connect(features=("issues",))
    await engine.discover()


async def test_pages_come_while_one_is_committed_and_no_more_of_them_than_may_wait(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world, items=100)
    door = hold(monkeypatch, "item:1")
    working = await held_at(door, engine)
    held = door.held // world.page_size
    await eventually(lambda: len(asked(world)) == held + MOST_WAITING, timeout=30)
    assert await engine.sources() == {}

    door.open.set()
    await working
    assert asked(world) == list(range(10))
    assert len(await engine.sources()) == 100


async def test_pages_that_waited_are_stored_at_once_and_count_as_what_they_are(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world, items=100)
    door = hold(monkeypatch, "item:1")
    working = await held_at(door, engine)
    await eventually(lambda: len(asked(world)) == door.held // world.page_size + MOST_WAITING, timeout=30)
    door.open.set()
    await working

    stored = await engine.admin.fetch("SELECT external_key FROM source ORDER BY id")
    assert [row[0] for row in stored] == [f"item:{number}" for number in range(1, 101)]
    transactions = await engine.one("SELECT count(DISTINCT xmin::text) FROM source")
    assert transactions <= 10 - (MOST_WAITING - 1)
    told = await engine.admin.fetchrow("SELECT fetched, created, requests, pages, seen FROM run_resource")
    assert tuple(told) == (100, 100, 11, 11, 100)  # and a page of comments


async def test_page_that_cannot_be_stored_holds_up_none_before_it(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joined with it they fail once; the next try stores them one by one."""
    await begin(engine, world)

    async def poisoned(tx: Transaction, batch: Batch) -> Applied:
        if any(item.key == "item:35" for item in batch.observed):
            raise ZeroDivisionError
        return await apply_batch(tx, batch)

    monkeypatch.setattr(pages, "apply_batch", poisoned)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await Executor(engine.deps).step()
        await engine.admin.execute("UPDATE work SET run_at = now()")
    assert len(await engine.sources()) == 30
    assert await engine.one("SELECT cursor->>'page' FROM resource_stream WHERE stream = 'items'") == "3"


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


async def test_pages_ahead_are_thrown_away_when_one_cannot_be_committed(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)
    keep_until_stored(engine, world, 1)

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
    keep_until_stored(engine, world, 1)
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


async def test_stop_between_pages_stores_and_asks_for_no_further_page(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine, world)
    stop = asyncio.Event()
    given: list[int] = []

    async def hurried(tx: Transaction, batch: Batch) -> Applied:
        stop.set()
        given.append(len(batch.observed))
        return await apply_batch(tx, batch)

    monkeypatch.setattr(pages, "apply_batch", hurried)
    executor = Executor(engine.deps)
    engine.deps.wakes.work.set()
    await asyncio.wait_for(executor.run(stop), 10)

    assert ahead() == []
    assert [len(await engine.sources())] == given
    assert await engine.one("SELECT run_at <= now() AND lease_until < now() FROM work") is True

    await engine.work()
    assert len(await engine.sources()) == 50
    assert max(map(asked(world).count, asked(world))) <= 2


async def test_validators_of_a_page_ahead_are_saved_with_that_page(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a 304 would later stand for rows that were never stored."""
    await begin(engine, world)
    keep_until_stored(engine, world, 1)
    door = hold(monkeypatch, "item:11")
    working = await held_at(door, engine)
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
    working = await held_at(door, engine)
    await eventually(lambda: 1 in asked(world), timeout=30)
    world.repos["r1"].put(15, title="New 15")
    await engine.hint("r1", "items", "item:15", of="issue")
    looking = asyncio.create_task(engine.dirty())
    door.open.set()
    await asyncio.wait_for(asyncio.gather(working, looking), 20)
    await engine.dirty()

    assert (await engine.sources())["item:15"]["name"] == "New 15"
