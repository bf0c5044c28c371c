"""As of when a copy is whole: the start of the last look that read every stream to its end, and nothing less."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx

from libs.common.telemetry.metrics import value
from services.sync.workers.freshness import FreshnessGauges
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine


async def told(api: httpx.AsyncClient, engine: Engine) -> dict[str, Any]:
    answer = await api.get(f"/v1/integrations/{engine.integration}/resources", params={"selected": "true"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def fresh(engine: Engine) -> datetime | None:
    found: datetime | None = await engine.one("SELECT fresh_as_of FROM resource_watch")
    return found


async def complete(engine: Engine) -> datetime | None:
    found: datetime | None = await engine.one("SELECT last_complete_at FROM resource")
    return found


async def test_copy_is_as_fresh_as_the_start_of_its_look_and_a_304_confirms_it(engine: Engine, world: World) -> None:
    world.repo("r1", items=25)
    before = await engine.one("SELECT clock_timestamp()")
    started: list[datetime] = []

    async def note(path: str) -> None:
        if "items" in path and not started:
            started.append(await engine.one("SELECT clock_timestamp()"))

    world.faults.append(note)
    await engine.sync(features=("issues",))
    first = await fresh(engine)
    assert first is not None
    assert before < first < started[0]
    await engine.again()
    second = await fresh(engine)
    assert second is not None
    assert second > first
    assert world.log[-1][1] == 304


async def test_failing_stream_leaves_the_copy_as_old_as_it_was(engine: Engine, world: World) -> None:
    world.repo("r1", items=3)
    await engine.sync(features=("issues",))
    before = await fresh(engine), await complete(engine)
    world.faults.append(lambda path: Answer(403) if "/notes" in path else None)
    await engine.again()
    assert (await fresh(engine), await complete(engine)) == before
    world.faults.clear()
    await engine.again()
    assert (await fresh(engine)) != before[0]
    assert (await complete(engine)) != before[1]


async def test_look_that_was_interrupted_counts_from_its_first_page(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()
    world.faults.append(lambda path: Answer(500) if "items?" in path and "page=2" in path else None)
    await engine.executor.step()
    interrupted = await engine.one("SELECT clock_timestamp()")
    world.faults.clear()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    found = await fresh(engine)
    assert found is not None
    assert found < interrupted
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 30


async def test_item_in_quarantine_makes_the_copy_no_fresher_until_it_is_read(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    before = await fresh(engine), await complete(engine)
    repo.put(3)
    repo.items[3]["title"] = 7
    await engine.again()
    await engine.again()
    assert (await fresh(engine), await complete(engine)) == before
    repo.put(3)
    await engine.again()
    assert (await fresh(engine)) != before[0]
    assert (await complete(engine)) != before[1]


async def test_new_feature_is_not_fresh_before_its_streams_are_read(engine: Engine, world: World) -> None:
    world.repo("r1", items=2, files=2)
    await engine.sync(features=("issues",))
    assert await fresh(engine) is not None
    await engine.update(features=("issues", "code"))
    assert await fresh(engine) is None
    await engine.work()
    assert await fresh(engine) is not None
    await engine.update(features=("issues",))
    assert await fresh(engine) is not None


async def test_look_at_one_stream_is_no_complete_look(engine: Engine, world: World) -> None:
    world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    before = await fresh(engine), await complete(engine)
    await engine.hint("r1", "items")
    await engine.work()
    assert await complete(engine) == before[1]
    assert await fresh(engine) == await engine.one("SELECT confirmed_at FROM resource_stream WHERE stream = 'notes'")


async def test_deletions_are_as_fresh_as_the_last_certified_listing(engine: Engine, world: World) -> None:
    world.repo("r1", items=2, files=2)
    await engine.sync(features=("code",))
    swept = await engine.one("SELECT swept_as_of FROM resource_watch")
    assert swept == await fresh(engine)
    await engine.update(features=("issues", "code"))
    await engine.work()
    assert await engine.one("SELECT swept_as_of FROM resource_watch") is None


async def test_answer_tells_the_plan_the_objective_and_the_worst(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    for name in ("r1", "r2"):
        world.repo(name, items=1)
    await engine.sync("r1", "r2", polling_enabled=True)
    page = await told(api, engine)
    one = page["selected"][0]
    assert (one["pollReason"], one["pollEverySeconds"]) == ("quiet: every 15 min", 900)
    assert one["nextPollAt"] is not None
    assert one["freshness"]["objectiveSeconds"] == 1200
    assert one["freshness"]["objectiveMet"] is True
    assert (page["freshness"]["objectiveMet"], page["freshness"]["lateResources"]) == (True, 0)

    await engine.admin.execute(
        "UPDATE resource_watch SET fresh_as_of = now() - interval '1 hour' WHERE resource_id = $1", one["id"]
    )
    page = await told(api, engine)
    late, kept = page["selected"]
    assert 3600 <= late["freshness"]["stalenessSeconds"] < 3700
    assert (late["freshness"]["objectiveMet"], kept["freshness"]["objectiveMet"]) == (False, True)
    worst = page["freshness"]
    assert (worst["freshAsOf"], worst["objectiveMet"]) == (late["freshness"]["freshAsOf"], False)
    assert (worst["resources"], worst["lateResources"]) == (2, 1)


async def test_nothing_is_promised_where_nobody_looks(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    page = await told(api, engine)
    assert (page["selected"][0]["pollReason"], page["selected"][0]["nextPollAt"]) == ("polling is off", None)
    assert page["selected"][0]["freshness"]["objectiveMet"] is None
    assert page["freshness"]["objectiveMet"] is None


async def test_gauges_count_late_and_deaf_resources_of_a_provider(engine: Engine, world: World) -> None:
    for name in ("r1", "r2"):
        world.repo(name, items=1)
    await engine.sync("r1", "r2", polling_enabled=True)
    gauges = FreshnessGauges(engine.deps)
    await gauges.step()
    assert value("sync_resources", provider="double") == 2
    assert value("sync_resources_late", provider="double") == 0
    await engine.admin.execute(
        "UPDATE resource_watch SET fresh_as_of = now() - interval '1 day', untold_at = now() - interval '1 hour'"
    )
    await gauges.step()
    assert value("sync_resources_late", provider="double") == value("sync_resources_deaf", provider="double") == 2
    await engine.admin.execute("DELETE FROM resource_watch")
    await gauges.step()
    assert value("sync_resources", provider="double") == value("sync_resources_late", provider="double") == 0
