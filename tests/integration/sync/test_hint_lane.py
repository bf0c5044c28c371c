"""Hints of many workspaces at once: a slow provider of one does not hold up what another was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from services.sync.workers.dirty import DirtyLane
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine


class Held:
    """Reads of these repositories' objects do not come back before `go`."""

    def __init__(self, world: World, *repositories: str) -> None:
        self.met: list[str] = []
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self._repositories = repositories
        world.faults.append(self._hold)

    async def _hold(self, path: str) -> None:
        if path.startswith(tuple(f"/repos/{name}/items/" for name in self._repositories)):
            self.met.append(path)
            self.began.set()
            await self.go.wait()


@pytest.fixture
async def lanes(engine: Engine) -> AsyncIterator[list[asyncio.Task[bool]]]:
    """Steps that a test began; none is left behind."""
    begun: list[asyncio.Task[bool]] = []
    yield begun
    for one in begun:
        one.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


async def two_workspaces(engine: Engine, world: World, slow: int) -> None:
    """The first has `slow` repositories with a hint each; the second, whose hint comes last, has `quick`."""
    names = [f"slow{number}" for number in range(slow)]
    for name in names:
        world.repo(name, items=1)
    repo = world.repo("quick", items=1)
    await engine.sync(*names, features=("issues",))
    for name in names:
        await engine.hint(name, "items", "item:1")
    engine.workspace, engine.integration = f"{engine.workspace}-2", f"{engine.integration}-2"
    await engine.sync("quick", features=("issues",))
    repo.put(1, body="told")
    await engine.hint("quick", "items", "item:1")


async def quick_is_read(engine: Engine) -> bool:
    sql = "SELECT content FROM source WHERE workspace_id = $1"
    return bool(await engine.one(sql, engine.workspace) == "told")


async def test_slow_hint_of_one_workspace_does_not_delay_anothers(
    engine: Engine, world: World, lanes: list[asyncio.Task[bool]]
) -> None:
    await two_workspaces(engine, world, slow=5)
    held = Held(world, *(f"slow{number}" for number in range(5)))
    lane, workers = DirtyLane(engine.deps), engine.settings.sync_hint_workers
    lanes += [asyncio.create_task(lane.step()) for _ in range(workers)]
    await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)

    assert await quick_is_read(engine)
    await eventually(lambda: len(held.met) == workers - 1)
    # All but one of the loops are held, and the last of them takes no more of the same workspace.
    assert not await lane.step()
    held.go.set()
    await asyncio.gather(*lanes)
    assert await engine.dirty() >= 1
    assert await engine.one("SELECT count(*) FROM dirty_object") == 0


async def test_workspace_that_nobody_serves_comes_before_one_with_many_hints(
    engine: Engine, world: World, lanes: list[asyncio.Task[bool]]
) -> None:
    await two_workspaces(engine, world, slow=3)
    held = Held(world, "slow0", "slow1", "slow2")
    lane = DirtyLane(engine.deps)
    lanes.append(asyncio.create_task(lane.step()))
    await held.began.wait()
    await lane.step()

    assert await quick_is_read(engine)
    assert len(held.met) == 1
    held.go.set()


async def test_page_that_marks_a_key_is_not_met_by_the_lane_that_reads_it(
    engine: Engine, world: World, lanes: list[asyncio.Task[bool]], sync_schema: Postgres
) -> None:
    """A page holds its resource and then marks keys: whoever holds keys and waits for the resource ends in a ring."""
    repo = world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    repo.put(1, body="told")
    await engine.hint("r1", "items", "item:1")
    page = await asyncpg.connect(sync_schema.dsn("postgres"), server_settings={"search_path": "sync"})
    try:
        async with page.transaction():
            await page.execute("SELECT FROM resource FOR NO KEY UPDATE")
            lanes.append(asyncio.create_task(DirtyLane(engine.deps).step()))

            async def lane_waits() -> bool:
                return bool(await engine.one("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await eventually(lane_waits)
            await page.execute("SELECT FROM dirty_object FOR UPDATE NOWAIT")
    finally:
        await page.close()
    await asyncio.gather(*lanes)
    assert (await engine.sources())["item:1"]["content"] == "told"
