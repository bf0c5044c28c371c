"""An account that is asked one call at a time, whoever of all replicas calls: nothing overlaps, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest

from libs.common.ids import new_id
from libs.common.limits.ledger import Ledger
from libs.common.limits.shared import Shared
from libs.common.provider.budgets import Budgets
from libs.common.provider.gate import Gates
from libs.common.provider.manifest import Limits
from libs.common.testing.eventually import eventually
from libs.local.valkey import Valkey
from services.sync.settings import SyncSettings
from services.sync.workers.dirty import DirtyLane
from services.sync.workers.executor import Executor
from tests.integration.sync.double import MANIFEST, Answer, World
from tests.integration.sync.engine import Broker, Engine

ITEMS = 60
Make = Callable[[int], Engine]


class Overlaps:
    """Stands before the played provider: how many calls were under way at once, at most.

    Where they may overlap the first call is held until a second one comes, or the test is at its end.
    """

    def __init__(self, world: World, held: bool) -> None:
        self.most = self.now = 0
        self._second = asyncio.Event()
        if not held:
            self._second.set()
        self._real = world.request
        world.request = self.request  # type: ignore[method-assign]

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.most > 1:
            self._second.set()
        try:
            await self._second.wait()
            for _ in range(20):  # lets everybody who may call do so
                await asyncio.sleep(0)
            return await self._real(method, url, headers=headers, content=content)
        finally:
            self.now -= 1


@pytest.fixture
async def make(
    settings: SyncSettings, world: World, admin: asyncpg.Connection[asyncpg.Record], valkey: Valkey
) -> AsyncIterator[Make]:
    """Replicas of one account, which allows so many calls at once."""
    made: list[Engine] = []
    secret = new_id().encode()

    def one(concurrency: int) -> Engine:
        engine = Engine(settings, world, Broker(), admin)
        engine.broker.budget_key = secret
        limits = Limits(requests_per_hour=100_000, concurrency=concurrency)
        manifest = msgspec.structs.replace(MANIFEST, limits=limits)
        ledger = Ledger(Shared(valkey.url, seconds=5.0), engine.deps.clock, engine.deps.owner, replicas=2)
        gates = Gates(Budgets(ledger))
        engine.deps = replace(engine.deps, gates=gates, manifest_of=lambda _: manifest)
        engine.executor = Executor(engine.deps)
        made.append(engine)
        return engine

    yield one
    for engine in made:
        assert engine.deps.gates is not None
        await engine.deps.gates.close()
        await engine.close()


@pytest.mark.parametrize(("concurrency", "overlaps"), [(1, False), (8, True)])
async def test_two_replicas_and_a_hint_share_the_calls_of_one_account(
    make: Make, world: World, concurrency: int, overlaps: bool
) -> None:
    for name in ("r1", "r2"):
        world.repo(name, items=ITEMS)
    first, second = make(concurrency), make(concurrency)
    for engine, name in ((first, "r1"), (second, "r2")):
        await engine.connect(name, features=("issues",))
        await engine.discover()
    calls = Overlaps(world, held=overlaps)
    await first.hint("r1", "items", "issue:3")
    assert await first.admin.fetchval("SELECT count(*) FROM dirty_object") == 1

    async def worked() -> bool:
        await asyncio.gather(first.work(), second.work(), DirtyLane(first.deps).step())
        return await first.admin.fetchval("SELECT bool_and(state = 'succeeded') FROM run") is True

    await eventually(worked, timeout=30)
    await eventually(lambda: _hint_is_done(first), timeout=30)
    assert (calls.most > 1) is overlaps
    assert await first.admin.fetchval("SELECT count(*) FROM source WHERE NOT tombstone") == 2 * ITEMS
    assert await first.admin.fetchval("SELECT sum(error_count) FROM resource") == 0


async def _hint_is_done(engine: Engine) -> bool:
    await DirtyLane(engine.deps).step()
    left: Any = await engine.admin.fetchval("SELECT count(*) FROM dirty_object")
    return int(left) == 0
