"""The thin line: connected → discovered → selected → pulled → sources and events."""

from __future__ import annotations

import pytest

from libs.common.testing.eventually import eventually
from services.sync.workers import outcomes
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine


async def test_connect_whatever_the_flags_finds_resources_and_syncs_them(engine: Engine, world: World) -> None:
    world.repo("r1", items=25, files=12)
    await engine.sync()

    assert len(await engine.sources()) == 37
    told = await engine.events()
    assert len(told) == 37
    assert {event["change"] for event in told} == {"created"}
    run = await engine.run()
    assert (run["state"], run["cause"]) == ("succeeded", "manual")
    assert [event["external_id"] for event in await engine.events("resource.selected")] == ["r1"]
    assert await engine.one("SELECT count(*) FROM work") == 0


async def test_default_selection_takes_the_most_recently_active(engine: Engine, world: World) -> None:
    for name in ("old", "newer", "newest"):
        world.repo(name)
    await engine.sync()

    assert [event["external_id"] for event in await engine.events("resource.selected")] == ["newest", "newer"]


async def test_resources_named_at_connect_are_the_only_ones(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    world.repo("r2", items=1)
    await engine.sync("acme/r1")

    assert [event["external_id"] for event in await engine.events("resource.selected")] == ["r1"]


async def test_resource_that_is_not_there_fails_the_run_with_its_name(engine: Engine, world: World) -> None:
    await engine.sync("acme/nowhere")

    run = await engine.run()
    assert run["state"] == "failed"
    assert "acme/nowhere" in run["error"]
    told = await engine.one("SELECT (error_count, last_error_code) FROM observed_state")
    assert told == (1, "not_visible")


async def test_run_tells_of_a_named_resource_that_is_not_there_while_the_others_are_synced(
    engine: Engine, world: World
) -> None:
    world.repo("r1", items=1)
    await engine.sync("acme/r1", "acme/nowhere")

    run = await engine.run()
    assert (run["state"], run["error_code"]) == ("succeeded", "not_visible")
    assert "acme/nowhere" in run["error"]
    assert "r1" not in run["error"]
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 1
    await engine.again()
    assert (await engine.run())["error_code"] is None


async def test_finding_nothing_to_sync_ends_the_row_of_failures(engine: Engine, world: World) -> None:
    away = [Answer(503)]
    world.faults.append(lambda path: away.pop() if away else None)
    await engine.connect()

    async def found() -> bool:
        await engine.discover()
        return bool((await engine.run())["state"] == "succeeded")

    await eventually(found)
    assert [status for _, status in world.log] == [503, 200]
    told = await engine.one("SELECT (error_count, last_error, last_error_code) FROM observed_state")
    assert told == (0, None, None)


async def test_second_sync_of_nothing_new_tells_nothing_and_asks_conditionally(engine: Engine, world: World) -> None:
    world.repo("r1", items=25, files=12)
    await engine.sync(features=("issues",))
    await engine.again()
    await engine.forget_events()
    written = await engine.one("SELECT max(seen_at) FROM source")
    world.log.clear()

    await engine.again()

    assert await engine.events() == []
    assert [status for _, status in world.log] == [304, 304]
    assert await engine.one("SELECT max(seen_at) FROM source") == written


async def test_validators_of_addresses_that_are_asked_no_more_are_forgotten(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every change moves the address that is asked next: without an end to it a busy place would fill the table."""
    monkeypatch.setattr(outcomes, "FEW_UNASKED", 3)
    repo = world.repo("r1", items=5)
    await engine.sync(features=("issues",))
    counts = []
    for number in range(10, 22):
        repo.put(number)
        await engine.again()
        counts.append(await engine.one("SELECT count(*) FROM validator"))
    assert max(counts) <= 3 + 3
    await engine.again()
    world.log.clear()
    await engine.again()
    assert [status for _, status in world.log] == [304, 304]
