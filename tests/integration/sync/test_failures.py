"""What the provider, the grant and a dying process can do to a sync."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from libs.common.errors import AuthRevoked, DependencyDown
from libs.common.testing.eventually import eventually
from services.sync.repository import leases
from services.sync.workers import pages
from services.sync.workers.executor import Executor
from tests.integration.sync.double import Answer, Fault, World
from tests.integration.sync.engine import Engine


def once(answer: Answer, part: str) -> Fault:
    """A fault that meets each path once."""
    met: set[str] = set()

    def fault(path: str) -> Answer | None:
        if part not in path or path in met:
            return None
        met.add(path)
        return answer

    return fault


async def work_until_done(engine: Engine) -> None:
    async def done() -> bool:
        await engine.work()
        return (await engine.run())["state"] in ("succeeded", "failed")

    await eventually(done, timeout=20)


async def committed(engine: Engine, count: int) -> None:
    async def there() -> bool:
        return len(await engine.sources()) >= count

    await eventually(there, timeout=20)


async def test_body_cut_at_every_page_loses_nothing_and_reads_each_page_twice_at_most(
    engine: Engine, world: World
) -> None:
    world.page_size = 5
    world.repo("r1", items=35)
    world.faults.append(once(Answer(200, b'{"rows": [{"num'), "/items?"))
    await engine.connect(features=("issues",))
    await engine.discover()
    await work_until_done(engine)

    assert len(await engine.sources()) == 35
    asked = [path for path, _ in world.log if "/items?" in path]
    assert len(set(asked)) == 7
    assert max(asked.count(path) for path in set(asked)) == 2
    assert (await engine.run())["state"] == "succeeded"
    assert await engine.one("SELECT error_count FROM observed_state") == 0


async def test_failing_page_never_moves_the_cursor_and_ends_after_its_last_try(engine: Engine, world: World) -> None:
    world.repo("r1", items=25)
    world.faults.append(lambda path: Answer(503) if "page=1" in path else None)
    await engine.connect(features=("issues",))
    await engine.discover()
    await work_until_done(engine)

    run = await engine.run()
    assert (run["state"], run["error_code"]) == ("failed", "provider_unavailable")
    assert len(await engine.sources()) == 10
    assert await engine.one("SELECT cursor->>'page' FROM resource_stream WHERE stream = 'items'") == "1"
    assert await engine.one("SELECT error_count FROM observed_state") == 8
    assert await engine.one("SELECT last_error_code FROM observed_state") == "provider_unavailable"

    world.faults.clear()
    await engine.again()
    assert len(await engine.sources()) == 25
    assert await engine.one("SELECT error_count FROM observed_state") == 0
    assert await engine.one("SELECT last_error FROM observed_state") is None


async def test_owner_that_dies_in_the_middle_is_followed_from_its_last_page(engine: Engine, world: World) -> None:
    world.repo("r1", items=60)
    await engine.connect(features=("issues",))
    await engine.discover()
    stuck = asyncio.Event()

    async def hang(path: str) -> None:
        if "page=3" in path and not stuck.is_set():
            stuck.set()
            await asyncio.Event().wait()

    world.faults.append(hang)
    dying = asyncio.create_task(Executor(engine.deps).step())
    await stuck.wait()
    await committed(engine, 30)  # page 3 is asked for while page 2 is committed
    before = len(await engine.sources())
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await engine.admin.execute("UPDATE work SET lease_until = now() - interval '1 second'")
    await engine.work()

    assert 0 < before < 60
    assert len(await engine.sources()) == 60
    assert max(world.served("/items?").values()) == 1
    assert len(await engine.events()) == 60


async def test_stale_owner_writes_nothing(engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()
    slow, go = asyncio.Event(), asyncio.Event()

    async def hold(path: str) -> None:
        if "page=1" in path and not slow.is_set():
            slow.set()
            await go.wait()

    world.faults.append(hold)
    zombie = asyncio.create_task(Executor(engine.deps).step())
    await slow.wait()
    await committed(engine, 10)
    await engine.admin.execute("UPDATE work SET lease_until = now() - interval '1 second'")
    await engine.work()
    versions = {key: row["version"] for key, row in (await engine.sources()).items()}
    cursor = await engine.one("SELECT cursor_version FROM resource_stream WHERE stream = 'items'")
    told = len(await engine.events())

    go.set()
    await zombie

    assert {key: row["version"] for key, row in (await engine.sources()).items()} == versions
    assert await engine.one("SELECT cursor_version FROM resource_stream WHERE stream = 'items'") == cursor
    assert len(await engine.events()) == told == 30


async def test_lease_is_kept_alive_while_a_page_is_slow(engine: Engine, world: World) -> None:
    world.repo("r1", items=5)
    await engine.connect(features=("issues",))
    await engine.discover()
    slow, go = asyncio.Event(), asyncio.Event()

    async def hold(path: str) -> None:
        if "/items" in path:
            slow.set()
            await go.wait()

    world.faults.append(hold)
    working = asyncio.create_task(Executor(engine.deps).step())
    await slow.wait()
    first = await engine.one("SELECT lease_until FROM work")

    async def renewed() -> bool:
        return bool(await engine.one("SELECT lease_until FROM work") > first)

    await eventually(renewed, timeout=20)
    async with engine.deps.db.queue() as tx:
        assert await leases.claim_work(tx, owner="another", lease=timedelta(seconds=1)) is None
    go.set()
    await working
    assert len(await engine.sources()) == 5


async def test_rate_limit_parks_the_grant_and_leaves_the_worker_free(engine: Engine, world: World) -> None:
    world.repo("r1", items=3)
    world.repo("r2", items=3)
    limited = [True]
    world.faults.append(lambda path: Answer(429, headers={"retry-after": "60"}) if limited and "r1" in path else None)
    await engine.connect(features=("issues",))
    await engine.discover()
    first = "UPDATE work SET priority = -1 FROM resource r WHERE r.id = resource_id AND r.external_id = 'r1'"
    await engine.admin.execute(first)
    await engine.work()

    assert await engine.one("SELECT count(*) FROM work WHERE parked_until > now() + interval '50 seconds'") >= 1
    state = "SELECT rr.state FROM run_resource rr JOIN resource r ON r.id = resource_id WHERE external_id = 'r1'"
    assert await engine.one(state) == "parked"
    assert (await engine.run())["state"] == "parked"
    assert await engine.one("SELECT error_count FROM observed_state") == 0
    asked = len(world.log)
    await engine.work()
    assert len(world.log) == asked

    limited.clear()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert (await engine.run())["state"] == "succeeded"
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 6


async def test_provider_that_asks_for_a_year_is_asked_again_tomorrow(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)

    def limited(path: str) -> Answer | None:
        year = timedelta(days=365).total_seconds()
        return Answer(429, headers={"retry-after": str(year)}) if "/items?" in path else None

    world.faults.append(limited)
    await engine.sync("r1")
    assert await engine.one("SELECT parked_until BETWEEN now() + interval '23 h' AND now() + interval '25 h' FROM work")
    assert await engine.one("SELECT run_at < now() + interval '25 h' FROM work")


async def test_refused_token_is_told_to_the_broker_once_and_the_sync_goes_on(engine: Engine, world: World) -> None:
    world.repo("r1", items=25)
    engine.broker.after_refusal = "token-2"

    def expire(path: str) -> None:
        if "page=1" in path:
            world.tokens = {"token-2"}

    world.faults.append(expire)
    await engine.sync(features=("issues",))

    assert len(await engine.sources()) == 25
    assert [asked.refused_version for asked in engine.broker.asked] == [None, 1]
    assert (await engine.run())["state"] == "succeeded"


async def test_lost_grant_stops_without_a_retry(engine: Engine, world: World) -> None:
    world.repo("r1", items=5)
    engine.broker.after_refusal = AuthRevoked("reconnect")
    await engine.connect(features=("issues",))
    await engine.discover()
    world.tokens = set()
    await engine.work()

    run = await engine.run()
    assert (run["state"], run["error_code"]) == ("failed", "auth_revoked")
    assert await engine.one("SELECT count(*) FROM work") == 0
    assert [asked.refused_version for asked in engine.broker.asked] == [None, 1]


async def test_broker_that_is_away_is_waited_for_and_not_counted(engine: Engine, world: World) -> None:
    world.repo("r1", items=5)
    await engine.connect(features=("issues",))
    await engine.discover()
    engine.broker.failure = DependencyDown("auth is away")
    engine.deps.tokens.forget(engine.integration)
    await engine.work()
    assert await engine.one("SELECT attempts FROM work") == 0

    engine.broker.failure = None
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert (await engine.run())["state"] == "succeeded"
    assert await engine.one("SELECT error_count FROM observed_state") == 0


@pytest.mark.parametrize("status", [403, 404])
async def test_lost_sight_of_a_resource_deletes_nothing(engine: Engine, world: World, status: int) -> None:
    world.repo("r1", items=5, files=5)
    world.repo("r2", items=1)
    await engine.sync()
    await engine.forget_events()

    world.faults.append(lambda path: Answer(status) if "/r1/" in path else None)
    await engine.again()

    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 11
    assert await engine.events() == []
    assert await engine.one("SELECT error_code FROM resource WHERE external_id = 'r1'") == "lost_sight"
    assert (await engine.run())["state"] == "succeeded"
    world.faults.clear()
    await engine.again()
    assert await engine.one("SELECT error_code FROM resource WHERE external_id = 'r1'") is None


async def test_failing_page_of_a_listing_tombstones_nothing(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=25)
    await engine.sync()
    await engine.forget_events()
    repo.files = {path: text for path, text in repo.files.items() if path < "src/f0017"}
    world.faults.append(lambda path: Answer(503) if "tree?page=1" in path else None)
    await engine.again()
    assert await engine.events() == []
    assert len(await engine.sources()) == 25

    world.faults.clear()
    await work_until_done(engine)
    assert len(await engine.sources()) == 16


async def test_error_of_ours_counts_as_an_attempt_and_ends(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.repo("r1", items=5)
    await engine.connect(features=("issues",))
    await engine.discover()

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pages, "take_page", broken)
    with pytest.raises(ZeroDivisionError):
        await engine.executor.step()
    assert await engine.one("SELECT attempts FROM work") == 1
    assert await engine.one("SELECT error_code FROM run_resource") == "internal"


async def test_no_connection_is_held_while_the_provider_hangs(engine: Engine, world: World) -> None:
    world.repo("r1", items=5, files=2)
    checked_out: list[int] = []
    pool = engine.deps.db._app

    def look(path: str) -> None:
        checked_out.append(pool.in_use)

    world.faults.append(look)
    await engine.sync()
    await engine.hint("r1", "items", "item:1")
    await engine.dirty()

    assert len(checked_out) >= 6
    assert set(checked_out) == {0}
