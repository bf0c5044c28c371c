"""Feedback: one word a person and target, counted absolutely, gone with what it was about."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libs.common.errors import NotFound
from libs.common.events import IntegrationDisconnected
from libs.common.internal import SourceItem
from services.chunker.domain.feedback import Given, Signal
from services.chunker.repository import feedback as stored
from services.chunker.use_cases import indexing, reading
from services.chunker.use_cases.feedback import read_feedback, record_feedback
from tests.integration.chunker.conftest import Rig


async def say(rig: Rig, source: str | None, signal: Signal, subject: str = "client:ann", **more: Any) -> str:
    given = Given(**{"chunk_id": None, **more}, signal=signal, subject=subject, source_id=source)
    return await record_feedback(rig.db, "w1", given)


async def told(rig: Rig) -> list[dict[str, Any]]:
    return [
        json.loads(bytes.fromhex(row["payload"][2:])) for row in await rig.told() if row["topic"] == "feedback.recorded"
    ]


def counts_of(event: dict[str, Any]) -> tuple[int, ...]:
    return tuple(event[name] for name in ("helpful", "unhelpful", "outdated", "incorrect"))


async def indexed(rig: Rig, **more: Any) -> str:
    source = await rig.put("A page that says something about relays.\n", **more)
    await rig.index()
    return source


async def test_later_signal_replaces_the_first_and_a_repeat_is_told_once(rig: Rig) -> None:
    source = await indexed(rig)
    first = await say(rig, source, "helpful", query="relay", comment="good")
    assert await say(rig, source, "helpful", query="relay", comment="good") == first
    assert await say(rig, source, "outdated") == first
    await say(rig, source, "incorrect", subject="client:bob")
    events = await told(rig)
    assert [counts_of(event) for event in events] == [(1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 1, 1)]
    assert sorted(event["version"] for event in events) == [event["version"] for event in events]
    assert "good" not in json.dumps(events)
    said = await read_feedback(rig.db, "w1", "i1", cursor=None, limit=1)
    assert [row["signal"] for row in said.rows] == ["incorrect"]
    rest = await read_feedback(rig.db, "w1", "i1", cursor=said.next_cursor, limit=5)
    assert [row["signal"] for row in rest.rows] == ["outdated"]
    assert (rest.counts.outdated, rest.counts.incorrect, rest.next_cursor) == (1, 1, None)


async def test_chunk_alone_names_its_source_and_a_foreign_target_is_absent(rig: Rig) -> None:
    source = await indexed(rig)
    chunk = (await reading.read_chunks(rig.db, "w1", source, after=-1, limit=1))[0]["id"]
    await say(rig, None, "helpful", chunk_id=chunk)
    said = await read_feedback(rig.db, "w1", "i1", cursor=None, limit=5)
    assert [(row["source_id"], row["chunk_id"]) for row in said.rows] == [(source, chunk)]
    assert await rig.db.locate("chunk", chunk) == "w1"
    with pytest.raises(NotFound):
        await say(rig, source, "helpful", chunk_id="no such chunk")
    given = Given(signal="helpful", subject="client:eve", source_id=source, chunk_id=None)
    with pytest.raises(NotFound):
        await record_feedback(rig.db, "w2", given)


async def test_signals_of_many_people_at_once_are_all_counted(rig: Rig) -> None:
    source = await indexed(rig)
    people = [f"client:{n}" for n in range(20)]
    await asyncio.gather(*(say(rig, source, "helpful", subject=who) for who in people))
    said = await read_feedback(rig.db, "w1", "i1", cursor=None, limit=50)
    assert (len(said.rows), said.counts.helpful) == (20, 20)
    assert max(counts_of(event)[0] for event in await told(rig)) == 20


async def test_feedback_leaves_with_its_source_and_the_counts_say_so(rig: Rig) -> None:
    source, other = await indexed(rig), await indexed(rig, path="b.md")
    await say(rig, source, "helpful")
    await say(rig, other, "helpful")
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
    await rig.tell(source, 5, "deleted")
    await rig.index()
    said = await read_feedback(rig.db, "w1", "i1", cursor=None, limit=5)
    assert [row["source_id"] for row in said.rows] == [other]
    assert said.counts.helpful == 1
    assert counts_of((await told(rig))[-1]) == (1, 0, 0, 0)


async def test_disconnected_integration_takes_its_feedback_along(rig: Rig) -> None:
    await say(rig, await indexed(rig), "unhelpful")
    event = IntegrationDisconnected(workspace_id="w1", integration_id="i1", provider="github", version=2, cause="user")
    await indexing.want_integration_removed(event, rig.deps)
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM feedback") == 0
        assert await tx.fetch_value("SELECT count(*) FROM feedback_count") == 0


async def test_score_is_bounded_grows_with_voices_and_fades(rig: Rig) -> None:
    few, many, bad = await indexed(rig), await indexed(rig, path="b.md"), await indexed(rig, path="c.md")
    await say(rig, few, "helpful")
    for n in range(9):
        await say(rig, many, "helpful", subject=f"client:{n}")
        await say(rig, bad, "incorrect", subject=f"client:{n}")
    async with rig.db.transaction("w1") as tx:
        rows = await tx.fetch_all("SELECT pk, source_id FROM chunk")
        pks, now = {row["source_id"]: row["pk"] for row in rows}, await stored.moment(tx)
        scores = await stored.scores(tx, [*pks.values(), 0], now)
        assert 0 < scores[pks[few]] < scores[pks[many]] < 1
        assert scores[pks[bad]] == pytest.approx(-scores[pks[many]], abs=1e-3)
        assert len(scores) == 3
        await tx.execute("UPDATE feedback SET recorded_at = now() - interval '360 days'")
        assert 0 < (await stored.scores(tx, [pks[many]], now))[pks[many]] < scores[pks[many]]
