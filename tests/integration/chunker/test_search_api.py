"""Search over HTTP by the real application: hostile queries, filters that nobody knows, explanations, groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.http.wire import decode_cursor, encode_cursor
from services.chunker.domain.searching import Position
from tests.integration.chunker.conftest import Rig
from tests.integration.chunker.doors import opened
from tests.integration.chunker.hostile_queries import hostile_queries
from tests.support.figures import Tell

SEARCH = "/v1/workspaces/w1/search"
REFUSALS = {200: "", 400: "/problems/malformed_payload", 422: "/problems/invalid_input"}


@pytest.fixture
async def api(rig: Rig, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(rig, tmp_path) as client:
        yield client


async def test_hostile_queries_find_nothing_foreign_and_break_nothing(
    rig: Rig, api: httpx.AsyncClient, figure: Tell
) -> None:
    """RELIABILITY A26. Both workspaces hold every word; only the canary tells whose text an answer shows."""
    text = "relay a b x word1 w1 w2 true null select drop table chunk camel case {} 1 é 日本語\n"
    for workspace in ("w1", "w2"):
        await rig.put(text.format(f"canary-{workspace}"), workspace=workspace, path=f"{workspace}.md")
    await rig.index()
    queries = hostile_queries()
    errors, foreign, found = 0, 0, 0
    for query in queries:
        answer = await api.post(SEARCH, json={"query": query})
        expected = REFUSALS.get(answer.status_code)
        errors += expected is None or (answer.status_code != 200 and answer.json()["type"] != expected)
        foreign += "canary-w2" in answer.text
        found += answer.status_code == 200 and bool(answer.json()["items"])
    assert len(set(queries)) == 500
    assert found >= 150  # the walls are tried by answers, not by silence
    figure("A26_errors", errors, "errors", len(queries))
    figure("A26_foreign", foreign, "rows", len(queries))
    assert (errors, foreign) == (0, 0)


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        ({"types": ["issue", "isue"]}, "/filters/types/1"),
        ({"providers": ["github", "githup"]}, "/filters/providers/1"),
        ({"kinds": ["issue"]}, "/filters"),
        ({"updatedAfter": "yesterday"}, "/filters/updatedAfter"),
        ({"updatedAfter": "2026-01-31T12:00:00"}, "/filters/updatedAfter"),
        ({"updatedAfter": "0001-01-01T00:00:00+14:00"}, "/filters/updatedAfter"),
        ({"updatedBefore": "9999-12-31T23:59:59-14:00"}, "/filters/updatedBefore"),
    ],
)
async def test_filter_that_nobody_knows_is_refused_at_its_place(
    api: httpx.AsyncClient, filters: dict[str, Any], pointer: str
) -> None:
    answer = await api.post(SEARCH, json={"query": "relay", "filters": filters})
    assert answer.status_code == 422, answer.text
    assert answer.json()["pointer"] == pointer


async def test_provider_is_known_by_any_spelling(rig: Rig, api: httpx.AsyncClient) -> None:
    await rig.put("relay\n")
    await rig.index()
    answer = await api.post(SEARCH, json={"query": "relay", "filters": {"providers": ["GitHub"]}})
    assert len(answer.json()["items"]) == 1


async def test_answer_explains_groups_and_tells_what_it_corrected(rig: Rig, api: httpx.AsyncClient) -> None:
    await rig.put("A webhook is received by the relay.\n", path="a.md")
    await rig.index()
    body = {"query": "Webhok relay", "explain": True, "group": "source"}
    answer = (await api.post(SEARCH, json=body)).json()
    assert answer["corrected"] == [{"word": "Webhok", "to": ["webhook"]}]
    (item,) = answer["items"]
    assert item["moreFromSource"] == 0
    assert [one["lexeme"] for one in item["explanation"]["lexemes"]] == ["relay", "webhook"]
    assert item["explanation"]["legs"][0]["rank"] == 1
    assert [item["highlights"][0]["text"][slice(*one)] for one in item["highlights"][0]["ranges"]] == [
        "webhook", "relay",
    ]  # fmt: skip
    plain = (await api.post(SEARCH, json={"query": "relay"})).json()["items"][0]
    assert (plain["explanation"], plain["moreFromSource"]) == (None, None)


async def test_hit_of_several_chunks_gives_the_best_and_those_beside_it(rig: Rig, api: httpx.AsyncClient) -> None:
    part = "The {0} takes turns with the others. Nobody waits for the {0} for long. "
    await rig.put("".join(f"# {one}\n\n{part.format(one) * 12}\n\n" for one in ("relay vault", "relay", "budget")))
    await rig.index()
    (item,) = (await api.post(SEARCH, json={"query": "relay vault"})).json()["items"]
    (other,) = item["beside"]
    assert (item["chunk"]["path"], other["path"]) == (["relay vault"], ["relay"])
    assert item["chunk"]["endByte"] == other["startByte"]
    apart = (await api.post(SEARCH, json={"query": "relay vault", "group": "none"})).json()["items"]
    assert [(one["chunk"]["id"], one["beside"]) for one in apart] == [(item["chunk"]["id"], []), (other["id"], [])]


async def test_level_answers_with_summaries_of_what_the_best_chunks_belong_to(rig: Rig, api: httpx.AsyncClient) -> None:
    part = "The {0} takes turns with the others. Nobody waits for the {0} for long. "
    await rig.put("".join(f"# {one}\n\n{part.format(one) * 12}\n\n" for one in ("relay", "vault")), path="a.md")
    await rig.put(f"# Budgets\n\n{part.format('budget') * 12}\n", path="b.md", resource_id="r2")
    await rig.index()
    await rig.settle()
    found = {}
    for level in ("section", "source", "resource"):
        answer = (await api.post(SEARCH, json={"query": "relay turns", "level": level})).json()
        assert answer["items"] == []
        found[level] = answer["summaries"]
        assert [one["score"] for one in found[level]] == sorted((one["score"] for one in found[level]), reverse=True)
        assert {one["level"] for one in found[level]} == {level}
    assert "relay" in found["section"][0]["text"]
    assert found["section"][0]["highlights"][0]["ranges"]
    assert found["source"][0]["title"] == "a.md"
    assert found["resource"][0]["resourceId"] == "r1"


async def test_summaries_have_no_further_page(rig: Rig, api: httpx.AsyncClient) -> None:
    answer = await api.post(SEARCH, json={"query": "relay", "level": "source", "cursor": "W10"})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/cursor")


@pytest.mark.parametrize("moment", ["", None, "2026-01-31T12:00:00", "0001-01-01T00:00:00+14:00"])
async def test_cursor_with_another_moment_than_a_page_could_give_is_refused(
    rig: Rig, api: httpx.AsyncClient, moment: str | None
) -> None:
    for name in "abc":
        await rig.put("The relay publishes.\n", path=f"{name}.md")
    await rig.index()
    body = {"query": "relay", "limit": 1}
    position = decode_cursor((await api.post(SEARCH, json=body)).json()["nextCursor"], list[Any])
    position[Position.__struct_fields__.index("moment")] = moment
    answer = await api.post(SEARCH, json={**body, "cursor": encode_cursor(position)})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/cursor")


@pytest.mark.parametrize("beyond", [2**31, 2**63])
async def test_cursor_beyond_every_chunk_is_refused(rig: Rig, api: httpx.AsyncClient, beyond: int) -> None:
    source = await rig.put("The relay publishes.\n")
    await rig.index()
    await rig.settle()
    chunks = await api.get(f"/v1/sources/{source}/chunks", params={"cursor": encode_cursor(beyond)})
    below = await api.get(f"/v1/summaries/source:{source}/chunks", params={"cursor": encode_cursor(["x", beyond])})
    assert [one.json()["type"] for one in (chunks, below)] == ["/problems/invalid_cursor"] * 2


@pytest.mark.parametrize("at", ["foo", "2026-01-31T12:00:00", "0001-01-01T00:00:00+14:00"])
async def test_feedback_cursor_of_no_moment_is_refused(rig: Rig, api: httpx.AsyncClient, at: str) -> None:
    source = await rig.put("The relay publishes.\n")
    await rig.index()
    assert (await api.post("/v1/feedback", json={"signal": "helpful", "sourceId": source})).status_code == 200
    answer = await api.get("/v1/integrations/i1/feedback", params={"cursor": encode_cursor([at, "x"])})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/cursor")
