"""The HTTP surface over the real application."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.http.wire import encode_cursor
from libs.common.internal import MAX_BATCH_IDS, SourceBatch
from libs.common.testing.eventually import eventually
from services.sync.api import runs
from services.sync.deps import Deps
from services.sync.use_cases import asking, reading
from services.sync.use_cases.asking import RunReport, read_run
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine


async def test_sync_answers_at_once_and_a_second_request_joins_the_run(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", items=12)
    await engine.sync(features=("issues",))
    repo.put(13)
    first = await api.post(f"/v1/integrations/{engine.integration}/sync")
    second = await api.post(f"/v1/workspaces/{engine.workspace}/sync")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["state"] == "queued"
    assert [run["id"] for run in second.json()["runs"]] == [first.json()["id"]]
    await engine.work()
    run = (await api.get(f"/v1/sync-runs/{first.json()['id']}")).json()
    assert (run["state"], run["progress"], run["counts"]["created"]) == ("succeeded", 1.0, 1)
    assert [one["state"] for one in run["resources"]] == ["succeeded"]
    history = (await api.get(f"/v1/integrations/{engine.integration}/sync-runs?limit=1")).json()
    assert [one["id"] for one in history["items"]] == [run["id"]]
    older = await api.get(f"/v1/integrations/{engine.integration}/sync-runs?cursor={history['nextCursor']}")
    assert len(older.json()["items"]) == 1


async def test_twenty_requests_at_once_make_one_run(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=2)
    await engine.sync()
    url = f"/v1/integrations/{engine.integration}/sync"
    answers = await asyncio.gather(*(api.post(url) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_run_can_be_followed_and_resumed(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=25)
    await engine.connect(features=("issues",))
    await engine.discover()
    run = (await engine.run())["id"]
    following = asyncio.create_task(_events(api, run))
    await asyncio.sleep(0)
    await engine.work()
    events = await following

    assert events[-1]["event"] == "done"
    assert msgspec.json.decode(events[-1]["data"])["counts"]["created"] == 25
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(set(ids))
    again = await _events(api, run, last=events[-1]["id"])
    assert [event["event"] for event in again] == ["done"]


async def test_reader_that_comes_back_in_the_middle_gets_only_what_is_new(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=25)
    await engine.connect(features=("issues",))
    await engine.discover()
    run = (await engine.run())["id"]
    looks: list[int] = []

    async def look(path: str) -> None:
        """While the second and third page are asked for, what a reader would be told; a page may be asked for while
        the one before it is still committed."""

        async def news() -> int:
            report = await read_run(run, deps=engine.deps, workspace=engine.workspace)
            revision: int = report.run["progress"]
            assert not looks or revision > looks[-1], "the page before this one is not committed yet"
            return revision

        if "items" in path and "page=0" not in path:
            looks.append(await eventually(news))

    world.faults.append(look)
    await engine.work()
    assert looks == sorted(set(looks))
    assert len(looks) == 2
    late = await _events(api, run, last=str(looks[-1]))
    assert [event["event"] for event in late] == ["done"]
    assert int(late[0]["id"]) > looks[-1]


async def test_quiet_run_keeps_its_readers_connection_alive(
    engine: Engine, world: World, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEEP_ALIVE_LOOKS", 2)
    monkeypatch.setattr(runs, "LOOK_EVERY", 0.01)
    looked: list[str] = []

    async def counted(run: str, *, deps: Deps, workspace: str) -> RunReport:
        looked.append(run)
        return await read_run(run, deps=deps, workspace=workspace)

    monkeypatch.setattr(asking, "read_run", counted)
    world.repo("r1", items=1)
    await engine.connect(features=("issues",))
    await engine.discover()
    run = (await engine.run())["id"]
    reading = asyncio.create_task(api.get(f"/v1/sync-runs/{run}/events"))
    await eventually(lambda: len(looked) >= 10)  # nothing happens in the run meanwhile
    await engine.work()
    text = (await reading).text
    assert text.count(": still running") >= 2
    assert text.count("event: progress") >= 1
    assert text.rstrip().count("event: done") == 1


async def test_reader_above_the_limit_is_told_so_and_has_a_place_when_another_has_left(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.connect(features=("issues",))
    await engine.discover()
    run = (await engine.run())["id"]
    places = engine.deps.run_followers
    places.most = 2
    reading = [asyncio.create_task(_events(api, run)) for _ in range(2)]
    await eventually(lambda: places.count == 2)
    refused = await api.get(f"/v1/sync-runs/{run}/events")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (503, "too_many_followers")
    assert (await api.get(f"/v1/sync-runs/{run}")).status_code == 200
    await engine.work()
    assert [events[-1]["event"] for events in await asyncio.gather(*reading)] == ["done", "done"]
    assert [event["event"] for event in await _events(api, run)] == ["done"]
    assert places.count == 0


async def _events(api: httpx.AsyncClient, run: str, last: str | None = None) -> list[dict[str, Any]]:
    headers = {"last-event-id": last} if last else {}
    text = (await api.get(f"/v1/sync-runs/{run}/events", headers=headers)).text.replace("\r\n", "\n")
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


async def test_cancelled_run_stops_and_keeps_what_is_committed(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()
    run = (await engine.run())["id"]

    async def cancel(path: str) -> None:
        if "page=1" in path:
            world.faults.clear()
            assert (await api.post(f"/v1/sync-runs/{run}/cancel")).json()["state"] == "cancelled"

    world.faults.append(cancel)
    await engine.work()

    assert len(await engine.sources()) == 10
    assert (await api.post(f"/v1/sync-runs/{run}/cancel")).status_code == 200
    await engine.again()
    assert len(await engine.sources()) == 30


async def test_picker_offers_searches_and_selects(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        world.repo(name, items=2)
    await engine.sync("one")
    url = f"/v1/integrations/{engine.integration}/resources"
    offered = (await api.get(url)).json()
    assert {item["externalId"]: item["selected"] for item in offered["items"]} == {
        "one": True, "two": False, "three": False,
    }  # fmt: skip
    assert [item["name"] for item in (await api.get(url, params={"query": "tw"})).json()["items"]] == ["acme/two"]
    await engine.forget_events()

    chosen = await api.put(url, json={"selected": ["acme/two"]})
    assert [item["externalId"] for item in chosen.json()["selected"]] == ["two"]
    await engine.work()
    await engine.clean()

    assert {(event["change"]) for event in await engine.events()} == {"created", "deleted"}
    assert [event["external_id"] for event in await engine.events("resource.deselected")] == ["one"]
    assert [event["external_id"] for event in await engine.events("resource.selected")] == ["two"]
    assert len(await engine.sources()) == 2
    await api.put(url, json={"selected": ["one", "two"]})
    await engine.work()
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone") == 4


async def test_choosing_what_is_not_visible_says_which(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("one")
    await engine.sync("one")
    url = f"/v1/integrations/{engine.integration}/resources"
    refused = await api.put(url, json={"selected": ["one", "acme/none"]})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/selected/1")


async def test_sources_are_listed_filtered_and_read(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=5, files=4)
    await engine.sync()
    url = f"/v1/workspaces/{engine.workspace}/sources"
    first = (await api.get(url, params={"limit": 4, "type": "issue"})).json()
    rest = (await api.get(url, params={"limit": 4, "type": "issue", "cursor": first["nextCursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["nextCursor"]) == (4, 1, None)
    assert len((await api.get(url, params={"integration": engine.integration})).json()["items"]) == 9
    assert (await api.get(url, params={"resource": "none"})).json()["items"] == []
    assert len((await api.get(url, params={"status": "pending"})).json()["items"]) == 9
    one = (await api.get(f"/v1/sources/{first['items'][0]['id']}")).json()
    assert one["content"].startswith("Body")
    assert one["metadata"] == {"number": 1}
    assert (await api.get(f"/v1/sources/{one['id']}/changed-files")).json() == {"items": [], "nextCursor": None}


async def test_batch_answers_present_tombstone_and_unknown(
    engine: Engine, world: World, api: httpx.AsyncClient, as_chunker: dict[str, str]
) -> None:
    repo = world.repo("r1", items=1, files=2)
    await engine.sync()
    rows = await engine.sources()
    del repo.files["src/f0002.py"]
    await engine.again()
    ids = [rows["item:1"]["id"], rows["file:src/f0002.py"]["id"], "none"]
    body = {"workspace_id": engine.workspace, "ids": ids}
    answer = await api.post("/internal/v1/sources:batch", json=body, headers=as_chunker)

    batch = msgspec.json.decode(answer.content, type=SourceBatch)
    assert [item.state for item in batch.items] == ["present", "tombstone", "unknown"]
    assert (batch.items[0].content, batch.items[0].resource_name) == ("Body 1", "acme/r1")
    assert batch.items[1].version > rows["file:src/f0002.py"]["version"]
    assert (await engine.sources())["item:1"]["status"] == "processing"
    foreign = {"workspace_id": "ws-another", "ids": ids[:1]}
    found = await api.post("/internal/v1/sources:batch", json=foreign, headers=as_chunker)
    assert msgspec.json.decode(found.content, type=SourceBatch).items[0].state == "unknown"


async def test_batch_is_bounded_by_bytes_and_by_ids(
    engine: Engine, world: World, api: httpx.AsyncClient, as_chunker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.repo("r1", items=3)
    await engine.sync(features=("issues",))
    monkeypatch.setattr(reading, "MAX_BATCH_BYTES", 13)
    ids = [row["id"] for row in (await engine.sources()).values()]
    body = {"workspace_id": engine.workspace, "ids": ids}
    answer = await api.post("/internal/v1/sources:batch", json=body, headers=as_chunker)
    batch = msgspec.json.decode(answer.content, type=SourceBatch)
    assert ([item.id for item in batch.items], list(batch.left_out)) == (ids[:2], ids[2:])
    body = {"workspace_id": engine.workspace, "ids": ["x"] * (MAX_BATCH_IDS + 1)}
    assert (await api.post("/internal/v1/sources:batch", json=body, headers=as_chunker)).status_code == 422
    assert (await api.post("/internal/v1/sources:batch", json=body)).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/workspaces/ws-nobody/sync", 404),
        ("GET", "/v1/workspaces/ws-nobody/sources", 404),
        ("GET", "/v1/workspaces/ws-nobody/changes", 404),
        ("POST", "/v1/integrations/none/sync", 404),
        ("GET", "/v1/integrations/none/sync-runs", 404),
        ("GET", "/v1/integrations/none/resources", 404),
        ("GET", "/v1/sync-runs/none", 404),
        ("GET", "/v1/sync-runs/none/events", 404),
        ("POST", "/v1/sync-runs/none/cancel", 404),
        ("GET", "/v1/sources/none", 404),
        ("GET", "/v1/sources/none/changed-files", 404),
        ("GET", "/v1/workspaces/ws-nobody/sources?cursor=%3F", 422),
        ("GET", "/v1/workspaces/ws-nobody/sources?type=tweet", 422),
        ("GET", "/v1/workspaces/ws-nobody/sources?limit=0", 422),
    ],
)
async def test_bad_request_is_answered_with_a_problem(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_cursor_or_time_that_no_page_could_give_is_refused_at_its_place(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    (source,) = (await api.get(f"/v1/workspaces/{engine.workspace}/sources?type=issue")).json()["items"]
    beyond = {"cursor": encode_cursor(["x", 2**31])}
    times = [{"since": "0001-01-01T00:00:00+14:00"}, {"since": "9999-12-31T23:59:59-14:00"}, {"since": "2026-01-01"}]
    of_path, of_source = f"/v1/workspaces/{engine.workspace}/changed-files", f"/v1/sources/{source['id']}/changed-files"
    refused = {
        ((await api.get(url, params={"path": "a", **asked} if url == of_path else asked)).json()["pointer"], url)
        for url in (of_path, of_source)
        for asked in (beyond, *times)
    }
    assert refused == {(pointer, url) for pointer in ("/cursor", "/since") for url in (of_path, of_source)}
    feed = await api.get(f"/v1/workspaces/{engine.workspace}/changes", params=times[0])
    assert (feed.status_code, feed.json()["pointer"]) == (422, "/since")
