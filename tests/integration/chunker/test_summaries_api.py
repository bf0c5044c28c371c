"""Summaries and feedback over HTTP: what is foreign looks like what is absent, pages are whole, refusals say where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.chunker.conftest import Rig
from tests.integration.chunker.doors import opened, page_of

SECTIONS = "".join(
    f"# Part {n}\n\n" + f"Part {n} says what the relay does in step {n}. " * 30 + "\n\n" for n in range(6)
)
READS = (
    "/v1/sources/{source}/summary",
    "/v1/resources/{resource}/summary",
    "/v1/integrations/{integration}/summary",
    "/v1/workspaces/{workspace}/summary",
    "/v1/summaries/source:{source}",
    "/v1/summaries/source:{source}/chunks",
    "/v1/summaries/workspace:{workspace}/chunks",
    "/v1/sources/{source}/chunks",
    "/v1/integrations/{integration}/feedback",
)
ABSENT = {"source": "none", "chunk": "none", "resource": "none", "integration": "none", "workspace": "none"}


@pytest.fixture
async def api(rig: Rig, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(rig, tmp_path) as client:
        yield client


async def held(rig: Rig, api: httpx.AsyncClient, workspace: str = "w1") -> dict[str, str]:
    """The ids of one source and of all that is above it."""
    number = workspace.removeprefix("w")
    place = {"integration_id": f"i{number}", "resource_id": f"r{number}", "workspace": workspace}
    source = await rig.put(SECTIONS, path=f"{workspace}.md", **place)
    await rig.index()
    await rig.settle()
    chunk = (await api.get(f"/v1/sources/{source}/chunks")).json()["items"][0]["id"]
    return {"source": source, "chunk": chunk, "resource": f"r{number}", "integration": f"i{number}",
            "workspace": workspace}  # fmt: skip


def said(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """All that a refusal tells but what is of this one call."""
    body = answer.json()
    return answer.status_code, {name: body[name] for name in body if name not in ("requestId", "instance")}


async def pages(api: httpx.AsyncClient, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await api.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("route", READS)
async def test_what_is_foreign_is_answered_like_what_is_absent(
    rig: Rig, api: httpx.AsyncClient, tmp_path: Path, route: str
) -> None:
    theirs = await held(rig, api, "w2")
    await api.post("/v1/feedback", json={"signal": "helpful", "sourceId": theirs["source"]})
    assert (await api.get(route.format(**theirs))).status_code == 200
    page = page_of(tmp_path, "w1")
    foreign = said(await api.get(route.format(**theirs), headers=page))
    absent = said(await api.get(route.format(**ABSENT), headers=page))
    assert foreign == absent
    assert foreign[0] == 404


@pytest.mark.parametrize("target", ["sourceId", "chunkId"])
async def test_feedback_about_what_is_foreign_is_answered_like_what_is_absent(
    rig: Rig, api: httpx.AsyncClient, tmp_path: Path, target: str
) -> None:
    theirs = await held(rig, api, "w2")
    page = page_of(tmp_path, "w1")
    body = {"signal": "helpful", target: theirs[target.removesuffix("Id")]}
    foreign = said(await api.post("/v1/feedback", json=body, headers=page))
    absent = said(await api.post("/v1/feedback", json={**body, target: "none"}, headers=page))
    assert foreign == absent
    assert foreign[0] == 404
    both = await api.post("/v1/feedback", json={"signal": "helpful", "sourceId": theirs["source"], "chunkId": "none"})
    assert said(both) == absent
    counts = (await api.get(f"/v1/integrations/{theirs['integration']}/feedback")).json()["counts"]
    assert set(counts.values()) == {0}


async def test_page_gives_feedback_within_its_scope_and_for_its_own_user(
    rig: Rig, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    ours = await held(rig, api)
    body = {"signal": "helpful", "chunkId": ours["chunk"], "query": "relay", "comment": "just right"}
    ann, bob = page_of(tmp_path, "w1", user="ann"), page_of(tmp_path, "w1", user="bob")
    given = await api.post("/v1/feedback", json=body, headers=ann)
    assert given.status_code == 200, given.text
    assert (await api.post("/v1/feedback", json=body, headers=ann)).json() == given.json()
    assert (await api.post("/v1/feedback", json={**body, "signal": "outdated"}, headers=bob)).status_code == 200
    other = await api.post("/v1/feedback", json={**body, "subject": "bob"}, headers=ann)
    assert (other.status_code, other.json()["pointer"]) == (422, "/subject")
    reading = page_of(tmp_path, "w1", scopes=("sources:read", "feedback:read"))
    assert (await api.post("/v1/feedback", json=body, headers=reading)).status_code == 403
    listed = (await api.get(f"/v1/integrations/{ours['integration']}/feedback", headers=reading)).json()
    assert [(one["signal"], one["comment"]) for one in listed["items"]] == [
        ("outdated", "just right"), ("helpful", "just right"),
    ]  # fmt: skip
    assert listed["counts"] == {"helpful": 1, "unhelpful": 0, "outdated": 1, "incorrect": 0}
    writing = page_of(tmp_path, "w1", scopes=("feedback:write",))
    assert (await api.get(f"/v1/integrations/{ours['integration']}/feedback", headers=writing)).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"signal": "great", "sourceId": "s"}, "/signal"),
        ({"sourceId": "s"}, "/"),
        ({"signal": "helpful"}, "/sourceId"),
        ({"signal": "helpful", "sourceId": ""}, "/sourceId"),
        ({"signal": "helpful", "sourceId": "s", "comment": "x" * 2001}, "/comment"),
        ({"signal": "helpful", "sourceId": "s", "stars": 5}, "/"),
    ],
)
async def test_feedback_that_cannot_be_read_is_refused_at_its_place(
    api: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/v1/feedback", json=body)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer), answer.text


async def test_chunks_of_every_node_come_whole_page_by_page(rig: Rig, api: httpx.AsyncClient) -> None:
    ours = await held(rig, api)
    for n in range(4):
        await rig.put(SECTIONS, path=f"docs/{n}.md", resource_id=f"r{n % 2 + 1}")
    await rig.index()
    await rig.settle()
    nodes = ["workspace:w1", "integration:i1", "resource:r1", "resource:r2", f"source:{ours['source']}"]
    below = (await api.get(f"/v1/sources/{ours['source']}/summary", params={"level": "section"})).json()["items"]
    whole = {}
    for node in (*nodes, *(section["id"] for section in below)):
        path = f"/v1/summaries/{node}/chunks"
        whole[node] = (await api.get(path, params={"limit": 100})).json()["items"]
        assert whole[node]
        assert await pages(api, path, 3) == whole[node]
        assert len({(one["sourceId"], one["chunkId"]) for one in whole[node]}) == len(whole[node])
        assert [one["ordinal"] for one in whole[node] if one["sourceId"] == ours["source"]] == sorted(
            one["ordinal"] for one in whole[node] if one["sourceId"] == ours["source"]
        )
    chunks = await pages(api, f"/v1/sources/{ours['source']}/chunks", 100)
    assert [one["chunkId"] for one in whole[f"source:{ours['source']}"]] == [one["id"] for one in chunks]
    parts = [whole["resource:r1"], whole["resource:r2"]]
    assert sorted(one["chunkId"] for part in parts for one in part) == sorted(
        one["chunkId"] for one in whole["workspace:w1"]
    )


@pytest.mark.parametrize("node", ["workspace:w1", "source:s1"])
async def test_cursor_of_another_listing_is_refused(rig: Rig, api: httpx.AsyncClient, node: str) -> None:
    await rig.put(SECTIONS, source_id="s1")
    await rig.index()
    await rig.settle()
    answer = await api.get(f"/v1/summaries/{node}/chunks", params={"cursor": "bm90IG91cnM"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid_cursor")
