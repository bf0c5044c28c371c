"""Pushes and their changed files: stored with the page of the move, linked to sources, read by source and by path."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.common.provider.sync import ChangedFile, Observed, Part, PartSeen, Pushed
from services.sync.domain.plan import Batch
from services.sync.repository.changed_files import HISTORY, OWN, PUSHES, page_sql
from services.sync.use_cases.apply import apply_batch
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine
from tests.support.plans import scans_of

ONE, TWO, THREE = "src/f0001.py", "src/f0002.py", "src/f0003.py"
FILES = (
    ChangedFile(path="lib/new.py", previous_path=ONE, status="renamed", blob_id="b1", previous_blob_id="b1"),
    ChangedFile(path=TWO, status="modified", additions=3, deletions=1, blob_id="b3", previous_blob_id="b2", patch="@@"),
    ChangedFile(path=THREE, status="removed", previous_blob_id="b4"),
    ChangedFile(path="lib/born.py", status="added", blob_id="b5"),
)


def pushed(key: str = "1", *files: ChangedFile, forced: bool = False) -> Pushed:
    return Pushed(key=key, branch="main", before=f"a{key}", after=f"b{key}", forced=forced, files=files or FILES)


def file(path: str, text: str, previous: str | None = None) -> Observed:
    return Observed(
        key=f"file:{path}", type="file", name=path, url="", content=text, content_type="text/plain", revision=text,
        path=path, previous_key=None if previous is None else f"file:{previous}",
    )  # fmt: skip


async def apply(engine: Engine, **batch: Any) -> None:
    resource = await engine.one("SELECT id FROM resource")
    async with engine.deps.db.transaction(engine.workspace) as tx:
        told = Batch(
            workspace_id=engine.workspace, integration_id=engine.integration, resource_id=resource, provider="double",
            stream="tree", cause="webhook", **batch,
        )  # fmt: skip
        await apply_batch(tx, told)


async def moved(engine: Engine) -> dict[str, str]:
    """The push of FILES with what its page brings; answers the ids that stood at the old paths."""
    before = {row["path"]: row["id"] for row in (await engine.sources()).values()}
    brought = (file("lib/new.py", "one", ONE), file(TWO, "two"), file("lib/born.py", "born"))
    await apply(engine, pushes=(pushed(),), observed=brought, removed={f"file:{THREE}": "gone"})
    return before


async def read(api: httpx.AsyncClient, url: str, **params: Any) -> list[dict[str, Any]]:
    answer = await api.get(url, params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_push_told_with_its_files_is_read_by_file_by_path_and_by_repository(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", files=3)
    await engine.sync()
    before = await moved(engine)
    born = (await engine.sources())["file:lib/born.py"]["id"]

    history = await read(api, f"/v1/sources/{before[ONE]}/changed-files")
    assert [(row["path"], row["previousPath"], row["status"]) for row in history] == [("lib/new.py", ONE, "renamed")]
    assert history[0]["push"].items() >= {"branch": "main", "before": "a1", "after": "b1", "forced": False}.items()
    [changed] = await read(api, f"/v1/sources/{before[TWO]}/changed-files")
    assert [changed[name] for name in ("additions", "deletions", "blobId", "previousBlobId", "patch")] == [
        3, 1, "b3", "b2", "@@",
    ]  # fmt: skip
    assert [row["status"] for row in await read(api, f"/v1/sources/{before[THREE]}/changed-files")] == ["removed"]
    assert [row["status"] for row in await read(api, f"/v1/sources/{born}/changed-files")] == ["added"]
    by_path = f"/v1/workspaces/{engine.workspace}/changed-files"
    assert [row["sourceId"] for row in await read(api, by_path, path=ONE)] == [before[ONE]]
    assert [row["sourceId"] for row in await read(api, by_path, path="lib/new.py")] == [before[ONE]]
    repository = Observed(
        key="repository", type="repository", name="r", url="", content="r", content_type="text/plain", revision="1"
    )
    await apply(engine, observed=(repository,))
    whole = await read(api, f"/v1/sources/{(await engine.sources())['repository']['id']}/changed-files")
    assert [row["path"] for row in whole] == [file.path for file in FILES]


async def test_push_told_again_changes_nothing(engine: Engine, world: World) -> None:
    world.repo("r1", files=3)
    await engine.sync()
    await moved(engine)
    rows = await engine.one("SELECT count(*) FROM changed_file")
    await apply(engine, pushes=(pushed(),))

    assert (await engine.one("SELECT count(*) FROM push"), rows) == (1, 4)
    assert await engine.one("SELECT count(*) FROM changed_file") == rows


async def test_file_that_arrives_pages_after_its_push_is_linked_to_it_and_to_no_older_one(
    engine: Engine, world: World
) -> None:
    world.repo("r1", files=1)
    await engine.sync()
    late = ChangedFile(path="late.py", status="added", blob_id="b")
    await apply(engine, pushes=(pushed("1", late),))
    await apply(engine, pushes=(pushed("2", late, forced=True),))
    await apply(engine, observed=(file("late.py", "words"),))

    rows = await engine.admin.fetch("SELECT p.key, c.source_id FROM changed_file c JOIN push p ON p.id = c.push_id")
    source = (await engine.sources())["file:late.py"]["id"]
    assert {row["key"]: row["source_id"] for row in rows} == {"1": None, "2": source}


async def test_newest_push_comes_first_and_pages_follow_each_other(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", files=1)
    await engine.sync()
    for number in range(1, 4):
        edited = ChangedFile(path=ONE, status="modified", blob_id=str(number))
        await apply(engine, pushes=(pushed(str(number), edited, ChangedFile(path="x", status="added")),))
    source = (await engine.sources())[f"file:{ONE}"]["id"]
    url, seen, cursor = f"/v1/sources/{source}/changed-files", [], None
    while True:
        page = (await api.get(url, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [row["push"]["after"] for row in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == ["b3", "b2", "b1"]


async def test_files_of_a_pull_request_stay_when_they_are_not_read_and_the_event_counts_them(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues", "prs", "code"))
    pull = Observed(
        key="item:9", type="pull_request", name="P", url="", content="one", content_type="text/markdown", revision="1",
        changed_files=FILES,
    )  # fmt: skip
    await apply(engine, observed=(pull,))
    again = Observed(
        key="item:9", type="pull_request", name="P", url="", content="two", content_type="text/markdown", revision="2"
    )
    await apply(engine, observed=(again,))

    said = Part(key="note:1", author="bob", created_at=engine.deps.clock.now(), body="words")
    await apply(engine, parts=(PartSeen(parent_key="item:9", part=said),))

    assert [event["changed_paths"] for event in (await engine.events())[-3:]] == [4, 4, 4]
    rows = await read(api, f"/v1/sources/{(await engine.sources())['item:9']['id']}/changed-files")
    assert [(row["path"], row["push"]) for row in rows] == [(file.path, None) for file in FILES]


@pytest.mark.parametrize("how", ["deselect", "feature", "disconnect", "erase"])
async def test_pushes_go_with_what_they_belong_to(
    engine: Engine, world: World, api: httpx.AsyncClient, how: str
) -> None:
    world.repo("r1", files=3)
    world.repo("r2")
    await engine.sync("r1")
    await moved(engine)

    if how == "deselect":
        await api.put(f"/v1/integrations/{engine.integration}/resources", json={"selected": ["r2"]})
    elif how == "feature":
        await engine.update(features=("issues",))
    elif how == "disconnect":
        await engine.disconnect()
    else:
        await engine.erase()
        await engine.admin.execute("UPDATE outbox SET published_at = now()")
    await engine.clean()

    assert await engine.one("SELECT count(*) FROM push") == 0
    assert await engine.one("SELECT count(*) FROM changed_file") == 0


async def test_changed_files_of_another_workspace_are_absent(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", files=3)
    await engine.sync()
    await moved(engine)
    mine, engine.workspace = engine.workspace, "ws-neighbour"
    await engine.connect()

    assert await read(api, "/v1/workspaces/ws-neighbour/changed-files", path=TWO) == []
    assert len(await read(api, f"/v1/workspaces/{mine}/changed-files", path=TWO)) == 1


@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        ({}, ["renamed", "renamed"]), ({"status": "renamed"}, ["renamed", "renamed"]), ({"status": "added"}, []),
        ({"since": "2020-01-01T00:00:00Z"}, ["renamed", "renamed"]), ({"since": "2100-01-01T00:00:00Z"}, []),
        ({"integration": "other"}, []), ({"resource": "other"}, []),
    ],
)  # fmt: skip
async def test_who_changed_a_path_is_narrowed(
    engine: Engine, world: World, api: httpx.AsyncClient, asked: dict[str, str], statuses: list[str]
) -> None:
    """By a push and by a pull request that is not merged yet: each has a time, its resource and its integration."""
    world.repo("r1", files=3)
    await engine.sync(features=("issues", "prs", "code"))
    await moved(engine)
    pull = Observed(
        key="item:9", type="pull_request", name="P", url="", content="one", content_type="text/markdown", revision="1",
        changed_files=FILES,
    )  # fmt: skip
    await apply(engine, observed=(pull,))
    url = f"/v1/workspaces/{engine.workspace}/changed-files"
    assert [row["status"] for row in await read(api, url, path=ONE, **asked)] == statuses
    mine = {"integration": engine.integration, "resource": await engine.one("SELECT id FROM resource")}
    assert len(await read(api, url, path=ONE, **mine)) == 2
    source = (await engine.sources())["item:9"]["id"]
    narrowed = {name: value for name, value in asked.items() if name in ("status", "since")}
    of_pull = [row["path"] for row in await read(api, f"/v1/sources/{source}/changed-files", **narrowed)]
    kept = [file.path for file in FILES if narrowed.get("status") in (None, file.status)]
    assert of_pull == ([] if narrowed.get("since", "").startswith("2100") else kept)


async def test_changed_files_that_cannot_be_asked_so_are_refused(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await engine.connect()
    url = f"/v1/workspaces/{engine.workspace}/changed-files"
    for wrong, pointer in (({"status": "gone"}, "/status"), ({"since": "2026-01-01T00:00:00"}, "/since")):
        answer = await api.get(url, params={"path": "x", **wrong})
        assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


async def test_changed_files_of_a_source_are_found_without_reading_those_of_the_others(
    engine: Engine, world: World
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    source, resource = await engine.admin.fetchrow("SELECT id, resource_id FROM source") or ("", "")
    for table, columns, values, count in (
        ("push", "id, integration_id, resource_id, key, stream, branch, before, after, forced, at",
         "'p' || g, 'i', 'other' || g % 50, g::text, 'tree', 'main', 'a', 'b', false, now()", 500),
        ("changed_file", "resource_id, push_id, source_id, position, path, status",
         "'other' || g % 50, 'p' || g % 500, 's' || g % 700, g / 500, 'x/' || g, 'modified'", 20_000),
    ):  # fmt: skip
        await engine.admin.execute(
            f"INSERT INTO {table} (workspace_id, {columns})"
            f" SELECT '{engine.workspace}', {values} FROM generate_series(1, {count}) g"
        )
        await engine.admin.execute(f"ANALYZE {table}")
    async with engine.deps.db.transaction(engine.workspace) as tx:
        for parts, wanted in (((OWN, HISTORY), source), ((PUSHES,), resource)):
            [plan] = await tx.fetch_all(f"EXPLAIN (FORMAT JSON) {page_sql(parts)}", wanted=wanted, limit=100)
            assert [scan for scan in scans_of(plan[0]) if "Seq Scan on changed_file" in scan] == []
