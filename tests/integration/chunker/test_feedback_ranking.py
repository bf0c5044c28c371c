"""What people said of answers decides between those that are about as good, in their own workspace alone."""

from __future__ import annotations

import pytest

from libs.common.http.wire import InvalidCursor
from services.chunker.domain.feedback import LIFT, Given, Signal
from services.chunker.domain.searching import Question
from services.chunker.repository import feedback
from services.chunker.use_cases.feedback import record_feedback
from services.chunker.use_cases.searching import Answers
from tests.integration.chunker.conftest import Rig

TEXT = "The relay publishes what waits.\n"


async def twins(rig: Rig, count: int = 2, workspace: str = "w1") -> list[str]:
    """Sources of one text and equal rank; the older one comes first."""
    made = [await rig.put(TEXT, path=f"{n}.md", workspace=workspace) for n in range(count)]
    await rig.index()
    return made


async def say(rig: Rig, source: str, signal: Signal, people: int = 5, workspace: str = "w1", **more: str) -> None:
    for n in range(people):
        given = Given(signal=signal, subject=f"client:{n}", source_id=source, chunk_id=more.get("chunk_id"))
        await record_feedback(rig.db, workspace, given)


def order(answers: Answers) -> list[str]:
    return [row["source_id"] for row in answers.rows]


def boosts(answers: Answers) -> dict[str, float]:
    return {row["source_id"]: one.boost for row, one in zip(answers.rows, answers.ranked, strict=True)}


async def test_helpful_lifts_among_equals_and_incorrect_and_outdated_lower(rig: Rig) -> None:
    first, second, third = await twins(rig, 3)
    before = order(await rig.search("relay"))
    assert sorted(before) == sorted([first, second, third])
    await say(rig, before[2], "helpful")
    await say(rig, before[0], "incorrect")
    found = await rig.search("relay")
    assert order(found) == [before[2], before[1], before[0]]
    factors = boosts(found)
    assert 1 < factors[before[2]] <= 1 + LIFT
    assert 1 - LIFT <= factors[before[0]] < 1 == factors[before[1]]
    await say(rig, before[2], "outdated", people=20)
    assert order(await rig.search("relay"))[0] == before[1]
    assert order(await rig.search("relay", feedback=False)) == before


async def test_word_on_a_chunk_counts_for_that_chunk(rig: Rig) -> None:
    part = "The relay publishes part {0} of what waits. "
    source = await rig.put("".join(f"# Part {n}\n\n{part.format(n) * 25}\n\n" for n in range(3)), path="a.md")
    await rig.index()
    before = await rig.search("relay publishes", group="none")
    assert len(before.rows) == 3
    last = before.rows[-1]["id"]
    await say(rig, source, "helpful", chunk_id=last)
    found = await rig.search("relay publishes", group="none")
    assert [one.boost > 1 for one in found.ranked] == [row["id"] == last for row in found.rows]


async def test_no_praise_lifts_a_worse_answer_over_a_clearly_better_one(rig: Rig) -> None:
    better = await rig.put("Relay relay relay.\n", path="better.md")
    worse = await rig.put(f"{'Other words stand here in great number. ' * 6} A relay.\n", path="worse.md")
    for n in range(5):
        await rig.put(f"Nothing of it {n}.\n", path=f"none-{n}.md")
    await rig.index()
    await say(rig, worse, "helpful", people=30)
    await say(rig, better, "unhelpful", people=30)
    assert order(await rig.search("relay")) == [better, worse]


async def test_outdated_weighs_little_once_the_text_has_changed(rig: Rig) -> None:
    first, _ = await twins(rig)
    await say(rig, first, "outdated")
    lowered = boosts(await rig.search("relay"))[first]
    await rig.put(TEXT.replace("waits", "is due"), path="0.md", source_id=first, version=2)
    await rig.index()
    mended = boosts(await rig.search("relay"))[first]
    assert lowered < mended < 1


async def test_word_of_another_workspace_changes_nothing(rig: Rig) -> None:
    ours, theirs = await twins(rig), await twins(rig, workspace="w2")
    before = await rig.search("relay")
    for source in theirs:
        await say(rig, source, "incorrect", workspace="w2")
    after = await rig.search("relay")
    assert [(row["source_id"], one.score) for row, one in zip(after.rows, after.ranked, strict=True)] == [
        (row["source_id"], one.score) for row, one in zip(before.rows, before.ranked, strict=True)
    ]
    assert sorted(order(after)) == sorted(ours)


async def test_what_is_said_between_two_pages_moves_nobody_between_them(rig: Rig) -> None:
    await say(rig, (await twins(rig, 9))[4], "helpful")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await rig.search("relay", limit=2, cursor=cursor)
        seen += order(page)
        cursor = page.next_cursor
        if cursor is None:
            break
        left = set(order(await rig.search("relay", limit=20))) - set(seen)
        await say(rig, min(left), "helpful")
        await say(rig, seen[-1], "incorrect", people=7)
    assert len(seen) == len(set(seen)) == 9


async def test_cursor_belongs_to_a_search_with_or_without_feedback(rig: Rig) -> None:
    await twins(rig, 3)
    page = await rig.search("relay", limit=1)
    with pytest.raises(InvalidCursor):
        await rig.searcher.search("w1", Question(query="relay", feedback=False), cursor=page.next_cursor)


async def test_search_that_wants_no_feedback_asks_for_none(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(*_: object) -> None:
        raise AssertionError("feedback was asked for")

    await rig.put("# Relay\n\nThe relay publishes.\n", path="a.md")
    await rig.index()
    for name in ("moment", "scores"):
        monkeypatch.setattr(feedback, name, asked)
    assert len((await rig.search("relay", feedback=False)).ranked) == 1
    with pytest.raises(AssertionError, match="asked for"):
        await rig.search("relay")
