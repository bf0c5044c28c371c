"""How far back a backfill reads: bounded at connect or for one resource, widened and narrowed later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.sync.double import EPOCH, World
from tests.integration.sync.engine import Engine
from tests.integration.sync.hub import Hub


def moment(step: int) -> str:
    """The double's items are changed one second after the other."""
    return (EPOCH + timedelta(seconds=step)).isoformat()


async def put(engine: Engine, api: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await api.put(f"/v1/integrations/{engine.integration}/resources", json=body)


def windowed(since: str | None, **more: Any) -> dict[str, Any]:
    return {"config": {"since": since} if since else {}, "features": ("issues",), **more}


async def numbers(engine: Engine) -> list[int]:
    return sorted(int(key.partition(":")[2]) for key in await engine.sources())


async def test_window_given_at_connect_bounds_the_backfill_and_later_changes_come(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", items=30)
    await engine.sync(**windowed(moment(21)))
    assert await numbers(engine) == list(range(21, 31))
    assert sum(world.served("items").values()) == 1
    repo.put(3, body="an old one changes")
    await engine.again()
    assert await numbers(engine) == [3, *range(21, 31)]
    selected = (await api.get(f"/v1/integrations/{engine.integration}/resources?selected=true")).json()["selected"]
    assert datetime.fromisoformat(selected[0]["since"]) == EPOCH + timedelta(seconds=21)


async def test_hint_about_something_older_than_the_window_brings_it_no_more_than_a_page_does(
    engine: Engine, world: World
) -> None:
    repo = world.repo("r1", items=30)
    await engine.sync(**windowed(moment(21)))
    await engine.hint("r1", "items", "item:3", "item:25")
    await engine.dirty()
    assert await numbers(engine) == list(range(21, 31))
    repo.put(3, body="an old one changes")
    await engine.hint("r1", "items", "item:3")
    await engine.dirty()
    assert await numbers(engine) == [3, *range(21, 31)]
    assert await engine.one("SELECT count(*) FROM dirty_object") == 0


async def test_wider_window_brings_the_older_part_and_tells_nothing_twice(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.sync(**windowed(moment(21)))
    await engine.forget_events()
    await engine.update(**windowed(moment(11)))
    await engine.work()
    assert await numbers(engine) == list(range(11, 31))
    assert [event["change"] for event in await engine.events()] == ["created"] * 10
    await engine.update(**windowed(None))
    await engine.work()
    assert await numbers(engine) == list(range(1, 31))


async def test_wider_window_in_the_middle_of_a_backfill_is_followed(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.connect(**windowed(moment(11)))
    await engine.discover()

    async def widen(path: str) -> None:
        if "page=1" in path:
            world.faults.clear()
            await engine.update(**windowed(moment(6)))

    world.faults.append(widen)
    await engine.work()
    assert await numbers(engine) == list(range(6, 31))
    assert (await engine.run())["state"] == "succeeded"


async def test_narrower_window_takes_nothing_away(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.sync(**windowed(None))
    await engine.forget_events()
    world.log.clear()
    await engine.update(**windowed(moment(21)))
    assert await engine.work() == 0
    await engine.again()
    assert await numbers(engine) == list(range(1, 31))
    assert await engine.events() == []


async def test_resource_has_a_window_of_its_own(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        world.repo(name, items=10)
    await engine.sync("one", **windowed(moment(6)))
    chosen = [
        {"reference": "one"},
        {"reference": "acme/two", "since": moment(9)},
        {"reference": "three", "since": None},
    ]
    answer = await put(engine, api, selected=chosen)
    assert answer.status_code == 200, answer.text
    await engine.work()

    async def held() -> dict[str, int]:
        rows = await engine.admin.fetch(
            "SELECT external_id, count(*) FROM source s JOIN resource r ON r.id = resource_id GROUP BY 1"
        )
        return {row["external_id"]: row["count"] for row in rows}

    assert await held() == {"one": 5, "two": 2, "three": 10}
    await engine.update(**windowed(moment(1)))
    await engine.work()
    assert await held() == {"one": 10, "two": 2, "three": 10}
    await put(engine, api, selected=["one", "two", "three"], since=moment(4))
    await engine.work()
    assert await held() == {"one": 10, "two": 7, "three": 10}


async def test_adding_one_resource_asks_nothing_of_the_other(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("one", items=5, files=5)
    world.repo("two", items=5, files=5)
    await engine.sync("one")
    world.log.clear()
    await put(engine, api, selected=["acme/one", "two"])
    await engine.work()
    assert [path for path, _ in world.log if "/repos/one" in path] == []
    assert sum("/repos/two" in path for path, _ in world.log) > 0
    assert await engine.one("SELECT count(*) FROM run_resource WHERE run_id = $1", (await engine.run())["id"]) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"selected": [{"reference": "one", "since": "yesterday"}]}, "/selected/0/since"),
        ({"selected": ["one", {"reference": "one", "since": "2999-01-01"}]}, "/selected/1/since"),
        ({"selected": ["one"], "since": "2026-02-30"}, "/since"),
        ({"selected": ["one"], "since": "0001-01-01T00:00:00+23:59"}, "/since"),
    ],
)
async def test_window_that_is_no_date_of_the_past_is_refused_where_it_stands(
    engine: Engine, world: World, api: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    world.repo("one", items=1)
    await engine.sync("one")
    answer = await put(engine, api, **body)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


async def test_code_is_read_whole_whatever_the_window(engine: Engine, world: World) -> None:
    world.repo("r1", items=10, files=7)
    await engine.sync(config={"since": moment(9)})
    assert len([key for key in await engine.sources() if key.startswith("file:")]) == 7
    world.log.clear()
    await engine.update(config={})
    await engine.work()
    assert await engine.one("SELECT count(*) FROM source") == 17
    assert sum("/files" in path for path, _ in world.log) == 0


async def test_window_over_the_played_github(hub: Hub) -> None:
    """The generated repository has an issue or a pull request every three hours before its last commit."""
    await hub.sync("sluice/sluice", config={}, features=("issues",))
    every = {key: row["provider_updated_at"] for key, row in (await hub.sources()).items()}
    middle = sorted(every.values())[len(every) // 2]
    hub.workspace, hub.integration = f"{hub.workspace}-2", f"{hub.integration}-2"

    async def held() -> set[str]:
        sql = "SELECT external_key FROM source WHERE workspace_id = $1 AND NOT tombstone"
        return {row["external_key"] for row in await hub.admin.fetch(sql, hub.workspace)}

    asked = len(hub.wire.asked)
    await hub.sync("sluice/sluice", config={"since": middle.isoformat()}, features=("issues",))
    newer = {key for key, at in every.items() if at >= middle}
    assert await held() == newer
    assert 50 < len(newer) < len(every)
    stamp = middle.astimezone(UTC).strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ")
    first = next(path for path in hub.wire.asked[asked:] if "/issues?" in path)
    assert f"since={stamp}" in first
    await hub.update(config={}, features=("issues",))
    await hub.work()
    assert await held() == set(every)


async def test_sweep_sees_what_is_older_than_the_window_and_neither_takes_nor_tombstones_it(hub: Hub) -> None:
    await hub.sync("sluice/sluice", config={}, features=("issues",))
    every = {key: row["provider_updated_at"] for key, row in (await hub.sources()).items()}
    middle = sorted(every.values())[len(every) // 2]
    hub.workspace, hub.integration = f"{hub.workspace}-2", f"{hub.integration}-2"
    await hub.sync("sluice/sluice", config={"since": middle.isoformat()}, features=("issues",))
    sql = "SELECT external_key, tombstone FROM source WHERE workspace_id = $1"
    before = {tuple(row) for row in await hub.admin.fetch(sql, hub.workspace)}
    await hub.full()
    await hub.work()
    assert (await hub.run())["state"] == "succeeded"
    assert {tuple(row) for row in await hub.admin.fetch(sql, hub.workspace)} == before
    # Stored before the window became narrower: it stays, for the whole listing shows it.
    await hub.update(config={}, features=("issues",))
    await hub.work()
    await hub.update(config={"since": middle.isoformat()}, features=("issues",))
    await hub.full()
    await hub.work()
    assert {tuple(row) for row in await hub.admin.fetch(sql, hub.workspace)} == {(key, False) for key in every}
    assert await hub.one("SELECT max(missing) FROM sweep WHERE workspace_id = $1", hub.workspace) == 0
    assert await hub.one("SELECT count(*) FROM held_deletion") == 0
