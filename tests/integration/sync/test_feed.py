"""Whoever follows a workspace misses nothing: filtered, waiting, away for a week, or beginning anew."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.http.wire import encode_cursor
from libs.common.ids import new_id
from libs.common.outbox.rows import drop_old
from libs.common.testing.eventually import eventually
from services.sync.use_cases import feed
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine

WEEK = 168
TOPIC = "source.changed"


@pytest.fixture
def url(engine: Engine) -> str:
    return f"/v1/workspaces/{engine.workspace}/changes"


async def page(api: httpx.AsyncClient, url: str, **asked: Any) -> dict[str, Any]:
    answer = await api.get(url, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def follow(api: httpx.AsyncClient, url: str, **asked: Any) -> tuple[list[dict[str, Any]], str]:
    """Page after page until there is nothing more; the items and where to go on."""
    items: list[dict[str, Any]] = []
    while True:
        found = await page(api, url, **asked)
        items += found["items"]
        asked["cursor"] = found["nextCursor"]
        if not found["hasMore"]:
            return items, found["nextCursor"]


def fold(state: dict[str, int], items: list[dict[str, Any]]) -> dict[str, int]:
    """What a downstream does: the greatest version counts, a delete takes away."""
    for item in items:
        event = item["event"]
        if abs(state.get(event["source_id"], 0)) < event["version"]:
            state[event["source_id"]] = -event["version"] if event["change"] == "deleted" else event["version"]
    return state


async def truth(engine: Engine) -> dict[str, int]:
    rows = await engine.admin.fetch(
        "SELECT id, version, tombstone FROM source WHERE workspace_id = $1", engine.workspace
    )
    return {row["id"]: -row["version"] if row["tombstone"] else row["version"] for row in rows}


async def age(engine: Engine, hours: int) -> None:
    """Everything told until now was told so long ago."""
    await engine.admin.execute(
        "UPDATE outbox SET published_at = published_at - make_interval(hours => $1),"
        " occurred_at = occurred_at - make_interval(hours => $1)",
        hours,
    )


async def test_changes_are_read_in_order_and_resumed(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    world.repo("r1", items=5)
    await engine.sync(features=("issues",))
    await engine.publish()
    first = await page(api, url, limit=3)
    rest = await page(api, url, limit=3, cursor=first["nextCursor"])
    assert [(len(one["items"]), one["hasMore"]) for one in (first, rest)] == [(3, True), (2, False)]
    told = [item["event"] for item in (*first["items"], *rest["items"])]
    assert told == await engine.events()
    end = await page(api, url, cursor=rest["nextCursor"])
    assert end == {"items": [], "nextCursor": rest["nextCursor"], "hasMore": False, "snapshot": False}


async def test_every_filter_narrows_and_the_cursor_passes_what_it_leaves_out(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    repo = world.repo("r1", items=3, files=2)
    await engine.sync()
    await engine.publish()
    _, before = await follow(api, url)
    repo.put(1, body="edited")
    del repo.files["src/f0002.py"]
    await engine.again()
    await engine.publish()
    end = (await page(api, url))["nextCursor"]
    resource = str(await engine.one("SELECT id FROM resource"))
    counts = {
        ("type", "file"): 3, ("type", "issue"): 4, ("change", "deleted"): 1, ("change", "updated"): 1,
        ("resource", resource): 7, ("resource", "other"): 0, ("integration", engine.integration): 7,
        ("integration", "other"): 0, ("provider", "double"): 7, ("provider", "github"): 0, ("cause", "manual"): 7,
        ("cause", "sweep"): 0, ("since", "2020-01-01T00:00:00Z"): 7, ("since", "2100-01-01T00:00:00+02:00"): 0,
    }  # fmt: skip
    for (name, value), expected in counts.items():
        items, cursor = await follow(api, url, **{name: value})
        assert (name, value, len(items)) == (name, value, expected)
        assert expected in (7, 4, 3, 1) or cursor == end
    assert [item["event"]["change"] for item in (await follow(api, url, type="file", cursor=before))[0]] == ["deleted"]


async def test_page_that_filters_everything_out_ends_soon_and_still_moves_on(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "CHUNK", 4)
    monkeypatch.setattr(feed, "MOST_SCANNED", 8)
    world.repo("r1", items=20, files=1)
    await engine.sync()
    await engine.publish()
    pages, asked = [], {"type": "file"}
    while True:
        found = await page(api, url, **asked)
        pages.append(len(found["items"]))
        asked["cursor"] = found["nextCursor"]
        if not found["hasMore"]:
            break
    assert pages == [0, 0, 1]


async def test_latest_begins_now_and_oldest_with_what_is_kept(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    repo = world.repo("r1", items=3)
    await engine.sync(features=("issues",))
    await engine.publish()
    now = await page(api, url, cursor="latest")
    assert (now["items"], now["hasMore"]) == ([], False)
    repo.put(2, body="edited")
    await engine.again()
    await engine.publish()
    assert [one["event"]["change"] for one in (await page(api, url, cursor=now["nextCursor"]))["items"]] == ["updated"]
    await engine.admin.execute(
        "UPDATE outbox SET published_at = '2020-01-01' WHERE topic = $1 AND seq IN"
        " (SELECT seq FROM outbox WHERE topic = $1 ORDER BY seq LIMIT 2)",
        TOPIC,
    )
    assert await drop_old(engine.deps.db, TOPIC, WEEK) == 2
    assert len((await page(api, url, cursor="oldest"))["items"]) == 2
    assert (await api.get(url)).status_code == 410


async def test_downstream_that_was_away_for_a_week_goes_on_where_it_was(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    repo = world.repo("r1", items=30, files=8)
    await engine.sync()
    await engine.publish()
    items, cursor = await follow(api, url)
    state = fold({}, items)
    for number in range(1, 11):
        repo.put(number, body="while it was away")
    del repo.files["src/f0003.py"]
    await engine.again()
    await engine.publish()
    await age(engine, WEEK - 1)
    assert await drop_old(engine.deps.db, TOPIC, WEEK) == 0
    missed, _ = await follow(api, url, cursor=cursor, limit=4)
    assert len(missed) == 11
    assert fold(state, missed) == await truth(engine)


async def test_downstream_that_was_away_too_long_is_told_and_catches_up_without_a_gap(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    """It begins anew with a snapshot; what changes while it reads the pages reaches it by the log."""
    repo = world.repo("r1", items=30, files=8)
    await engine.sync()
    await engine.publish()
    first = await page(api, url, limit=5)
    await age(engine, WEEK + 1)
    repo.put(7, body="kept")
    await engine.again()
    await engine.publish()
    assert await drop_old(engine.deps.db, TOPIC, WEEK) == 38
    for lost in ({"cursor": first["nextCursor"]}, {}):
        refused = await api.get(url, params=lost)
        assert refused.status_code == 410
        assert refused.json()["type"] == "/problems/cursor_expired"
        assert "compact=latest" in refused.json()["detail"]

    state: dict[str, int] = {}
    found = await page(api, url, compact="latest", limit=10)
    edits = iter([lambda: repo.put(1, body="meanwhile"), lambda: repo.files.pop("src/f0001.py")])
    while True:
        assert found["snapshot"]
        fold(state, found["items"])
        if (edit := next(edits, None)) is not None:
            edit()
            await engine.again()
            await engine.publish()
        if not found["hasMore"]:
            break
        found = await page(api, url, compact="latest", limit=10, cursor=found["nextCursor"])
    assert len(state) == 38
    assert state != await truth(engine)
    rest, _ = await follow(api, url, cursor=found["nextCursor"])
    assert fold(state, rest) == await truth(engine)


async def test_snapshot_tells_each_source_once_and_deleted_ones_as_tombstones(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    repo = world.repo("r1", items=6, files=3)
    await engine.sync()
    for _ in range(3):
        repo.put(1, body=new_id())
        await engine.again()
    del repo.files["src/f0002.py"]
    await engine.again()
    await engine.publish()
    items, cursor = await follow(api, url, compact="latest", limit=4)
    assert len(items) == len({item["event"]["source_id"] for item in items}) == 9
    assert fold({}, items) == await truth(engine)
    assert sorted(item["event"]["change"] for item in items) == ["deleted", *["updated"] * 8]
    assert {item["seq"] for item in items} == {None}
    last = (await engine.events())[-1]
    same = next(item["event"] for item in items if item["event"]["source_id"] == last["source_id"])
    assert {name: same[name] for name in same if name != "occurred_at"}.items() <= last.items()
    assert (await page(api, url, cursor=cursor))["items"] == []
    assert len((await follow(api, url, compact="latest", type="file", limit=2))[0]) == 3


async def test_compacted_page_of_the_log_leaves_out_what_it_tells_again(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    repo = world.repo("r1", items=4)
    await engine.sync(features=("issues",))
    start = encode_cursor([engine.workspace, 0])
    for number in (1, 2, 1, 2, 1):
        repo.put(number, body=new_id())
        await engine.again()
    await engine.publish()
    whole, _ = await follow(api, url)
    for limit in (1, 2, 100):
        items, _ = await follow(api, url, cursor=start, compact="latest", limit=limit)
        assert fold({}, items) == fold({}, whole) == await truth(engine)
        assert [item["seq"] for item in items] == sorted(item["seq"] for item in items)
    assert (len(whole), len(items)) == (9, 4)


async def test_follower_is_answered_when_something_is_told_and_holds_no_connection(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    """More followers than the pool has connections wait at once, and others are served meanwhile."""
    repo = world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    await engine.publish()
    cursor = (await follow(api, url))[1]
    waiting = [asyncio.create_task(page(api, url, cursor=cursor, wait=20)) for _ in range(24)]
    nobody = asyncio.create_task(page(api, url, cursor=cursor, wait=20, type="file"))
    await eventually(lambda: engine.deps.feed_head._looking.locked())
    assert (await page(api, url, cursor=cursor))["items"] == []
    repo.put(1, body="told")
    await engine.again()
    await engine.publish()
    for found in await asyncio.wait_for(asyncio.gather(*waiting), 15):
        assert [item["event"]["change"] for item in found["items"]] == ["updated"]
    assert not nobody.done()
    nobody.cancel()
    await asyncio.wait({nobody})


async def test_follower_is_answered_empty_when_nothing_is_told(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.publish()
    cursor = (await follow(api, url))[1]
    found = await page(api, url, cursor=cursor, wait=0.3)
    assert found == {"items": [], "nextCursor": cursor, "hasMore": False, "snapshot": False}


async def test_cursor_of_another_workspace_and_nonsense_are_refused_alike(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.publish()
    me = engine.workspace
    wrong = [
        ["ws-other", 1], [me, -1], [me, 2**63], [me, "1"], [me], [me, 1, "x" * 65], [me, 1, "\x00"], [me, 1, "", 4], 7,
    ]  # fmt: skip
    answers = [await api.get(url, params={"cursor": encode_cursor(one)}) for one in wrong]
    answers += [await api.get(url, params={"cursor": text}) for text in ("!", "Latest", "x" * 3000)]
    problems = {(one.status_code, one.json()["type"], one.json()["pointer"]) for one in answers}
    assert problems == {(422, "/problems/invalid_cursor", "/cursor")}


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"wait": 31}, "/wait"), ({"limit": 0}, "/limit"), ({"limit": 1001}, "/limit"), ({"type": "tweet"}, "/type"),
        ({"change": "gone"}, "/change"), ({"cause": "whim"}, "/cause"), ({"since": "yesterday"}, "/since"),
        ({"since": "2026-01-01T00:00:00"}, "/since"), ({"compact": "all"}, "/compact"),
        ({"compact": "latest", "change": "created"}, "/compact"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_named(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str, asked: dict[str, Any], pointer: str
) -> None:
    await engine.connect()
    answer = await api.get(url, params=asked)
    assert (answer.status_code, answer.json().get("pointer")) == (422, pointer), answer.text


async def test_cursor_ahead_of_a_restored_database_is_told(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.publish()
    head = await engine.one("SELECT last_seq FROM relay")
    answer = await api.get(url, params={"cursor": encode_cursor([engine.workspace, head + 1])})
    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/cursor_expired")
    assert "restored" in answer.json()["detail"]


async def test_dropped_rows_of_a_neighbour_cost_nobody_its_cursor(
    engine: Engine, world: World, api: httpx.AsyncClient, url: str
) -> None:
    """A quiet workspace reads on after months: nothing of its own was dropped behind its cursor."""
    world.repo("r1", items=2)
    await engine.sync()
    await engine.publish()
    cursor = (await follow(api, url))[1]
    await engine.admin.execute(
        "INSERT INTO outbox (event_id, workspace_id, topic, key, payload) VALUES ('n', 'ws-n', $1, 'k', '{}')", TOPIC
    )
    await engine.publish()
    await age(engine, WEEK + 1)
    await drop_old(engine.deps.db, TOPIC, WEEK)
    assert (await page(api, url, cursor=cursor))["items"] == []
    assert await engine.one("SELECT count(*) FROM feed_floor WHERE workspace_id IN ('ws-n', $1)", engine.workspace) == 2


async def test_page_beside_a_hundred_times_larger_neighbour_reads_its_own_rows_alone(
    engine: Engine, world: World
) -> None:
    await _fill(engine, engine.workspace, 300)
    await _fill(engine, "ws-big", 30_000)
    await engine.admin.execute("ANALYZE outbox")  # or the publishing of them is planned for a handful
    await engine.publish()
    await engine.admin.execute("ANALYZE outbox")
    reads = {
        "log": ("SELECT seq, event_id, topic, key, payload, occurred_at FROM outbox WHERE workspace_id = :workspace"
                " AND topic = 'source.changed' AND seq > 0 ORDER BY seq LIMIT 101"),
        "key": f"SELECT seq FROM outbox WHERE key = '{engine.workspace}-7' AND published_at IS NOT NULL",
    }  # fmt: skip
    indexes = {"log": "outbox_workspace_feed", "key": "outbox_key"}
    for name, sql in reads.items():
        given = {"workspace": engine.workspace} if ":workspace" in sql else {}
        async with engine.deps.db.transaction(engine.workspace) as tx:
            plan = await tx.fetch_value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", **given)
        found = msgspec.json.decode(msgspec.json.encode(plan[0]["Plan"]))
        nodes = list(_nodes(found))
        assert indexes[name] in [node.get("Index Name") for node in nodes], nodes
        assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] <= 250
        assert sum(node.get("Rows Removed by Filter", 0) for node in nodes) == 0


async def _fill(engine: Engine, workspace: str, count: int) -> None:
    await engine.admin.execute(
        "INSERT INTO outbox (event_id, workspace_id, topic, key, payload)"
        " SELECT 'e' || n, $1, CASE WHEN n % 10 = 0 THEN 'sync.state_changed' ELSE 'source.changed' END,"
        " $1 || '-' || n, '{}' FROM generate_series(1, $2) AS n ORDER BY random()",
        workspace,
        count,
    )


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


async def test_follower_above_the_limit_is_told_so_and_the_others_wait_on(
    engine: Engine, api: httpx.AsyncClient, url: str, world: World
) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    await engine.publish()
    _, cursor = await follow(api, url)
    head = engine.deps.feed_head
    head.followers.most = 2
    waiting = [asyncio.create_task(page(api, url, cursor=cursor, wait=30)) for _ in range(2)]
    await eventually(lambda: head.followers.count == 2)
    refused = await api.get(url, params={"cursor": cursor, "wait": 30})
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (503, "too_many_followers")
    assert (await page(api, url, cursor=cursor))["items"] == []

    world.repos["r1"].put(1, body="changed")
    await engine.again()
    await engine.publish()
    assert [len(found["items"]) for found in await asyncio.gather(*waiting)] == [1, 1]
    assert head.followers.count == 0
