"""What a search promises: phrases, typos, filters that fill their page, groups, explanations, pages that stay apart."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.http.wire import InvalidCursor, decode_cursor, encode_cursor
from libs.common.internal import SourceItem
from services.chunker.api.search import _explained
from services.chunker.domain.bm25 import idf
from services.chunker.domain.searching import Filters, Position, Question, Word
from services.chunker.repository import search as ranking
from services.chunker.repository.filters import narrowing
from tests.integration.chunker.conftest import Rig

WORDS = "relay outbox lease cursor tombstone webhook signature vault budget sweep".split()


async def test_quoted_words_must_stand_in_the_text(rig: Rig) -> None:
    await rig.put("A retry policy for every\nhandler is told here.\n", path="yes.md")
    await rig.put("The policy of a retry is another matter.\n", path="no.md")
    await rig.index()
    assert sorted(await rig.names("retry policy")) == ["no.md", "yes.md"]
    assert await rig.names('"retry policy"') == ["yes.md"]
    assert await rig.names('"Every handler"') == ["yes.md"]
    assert await rig.names('"every handler" "retry policy"') == ["yes.md"]
    assert await rig.names('"policy retry"') == []


async def test_quoted_identifier_is_found_with_its_punctuation(rig: Rig) -> None:
    await rig.put("use relay.publish(event) and nothing else\n", path="call.md")
    await rig.put("publish an event by the relay\n", path="prose.md")
    await rig.put("100% of 50_000 rows\n", path="percent.md")
    await rig.index()
    assert await rig.names('"relay.publish(event)"') == ["call.md"]
    assert await rig.names('"100% of 50_000"') == ["percent.md"]
    assert await rig.names('"100_ of"') == []


async def test_phrase_of_words_that_are_not_indexed_is_found_by_its_text(rig: Rig) -> None:
    await rig.put("To be or not to be, that is asked.\n", path="hamlet.md")
    await rig.put("Be it to or not.\n", path="other.md")
    await rig.index()
    assert await rig.names('"to be or not to be" asked') == ["hamlet.md"]


async def test_mistyped_word_finds_its_neighbour_and_is_told(rig: Rig) -> None:
    await rig.put("A webhook is received once.\n", path="hooks.md")
    await rig.put("Nothing of that kind.\n", path="other.md")
    await rig.index()
    answers = await rig.search("webhok recieved")
    assert [row["name"] for row in answers.rows] == ["hooks.md"]
    assert {one.word: one.to for one in answers.corrected} == {"webhok": ("webhook",), "reciev": ("receiv",)}
    assert (await rig.search("webhook received")).corrected == []


async def test_word_that_only_another_workspace_holds_corrects_nothing_here(rig: Rig) -> None:
    await rig.put("zanzibar\n", workspace="w2")
    await rig.put("something\n", workspace="w1")
    await rig.index()
    assert (await rig.search("zanzibr")).corrected == []


async def test_word_that_left_with_its_source_corrects_nothing(rig: Rig) -> None:
    source = await rig.put("tombstones\n")
    await rig.put("something else\n", path="b.md")
    await rig.index()
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
    await rig.tell(source, 5, "deleted")
    await rig.index()
    assert (await rig.search("tombstne")).corrected == []


async def test_narrow_filter_fills_its_page_from_below_the_first_candidates(rig: Rig) -> None:
    """Thirty better matches elsewhere, candidates of five: the filter works inside the ranking, not behind it."""
    for n in range(30):
        await rig.put("relay relay relay\n", path=f"src/{n}.md", author="many")
    for n in range(4):
        await rig.put(f"a longer text that names the relay once among others {n}\n", path=f"docs/{n}.md", author="few")
    await rig.index()
    rig.searcher = rig.searching(depth=5)
    for filters in (Filters(path="docs/"), Filters(authors=("few",))):
        assert len(await rig.names("relay", filters=filters, limit=4)) == 4


async def test_group_by_source_gives_its_best_chunk_and_counts_the_others(rig: Rig) -> None:
    part = "A sentence about the relay and what else it does. " * 40
    await rig.put("".join(f"## Part {n}\n\n{part}\n\n" for n in range(5)), path="long.md")
    await rig.put("The relay, shortly.\n", path="short.md")
    await rig.index()
    answers = await rig.search("relay", group="source")
    assert sorted(row["name"] for row in answers.rows) == ["long.md", "short.md"]
    further = {row["name"]: one.further for row, one in zip(answers.rows, answers.ranked, strict=True)}
    assert further["short.md"] == 0
    assert further["long.md"] >= 4


async def test_chunks_side_by_side_are_one_hit_as_long_as_it_is_read_at_once(rig: Rig) -> None:
    part = "The {0} takes turns with the others, and nobody waits for the {0} for long. "
    names = ["relay", "relay", "relay", "vault", "relay"]
    await rig.put("".join(f"## Part {n}\n\n{part.format(name) * 14}\n\n" for n, name in enumerate(names)))
    await rig.index()
    answers = await rig.search("relay")
    hits = [
        sorted(one["heading_path"][-1] for one in (row, *beside))
        for row, beside in zip(answers.rows, answers.beside, strict=True)
    ]
    assert sorted(hits) == [["Part 0", "Part 1"], ["Part 2"], ["Part 4"]]
    assert len((await rig.search("relay", group="none")).rows) == 4


async def test_pages_of_passages_show_every_chunk_once(rig: Rig) -> None:
    part = "What the relay does number {0}, and the relay again. "
    for page in range(4):
        await rig.put("".join(f"## Part {n}\n\n{part.format(n) * 12}\n\n" for n in range(9)), path=f"{page}.md")
    await rig.index()
    rig.searcher = rig.searching(depth=10)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        answers = await rig.search("relay number", cursor=cursor, limit=3)
        seen += [row["id"] for rows in (answers.rows, *answers.beside) for row in rows]
        if (cursor := answers.next_cursor) is None:
            break
    assert len(seen) == len(set(seen)) == 36


async def test_explanation_adds_up_to_the_raw_score(rig: Rig) -> None:
    await rig.put("The relay publishes rows of the outbox.\n", path="a.md")
    await rig.put("An outbox is a table.\n", path="b.md")
    await rig.index()
    question = Question(query="what does the relay publish of its outbox")
    answers = await rig.searcher.search("w1", question, explain=True)
    best = _explained(answers.ranked[0], answers.matched[answers.ranked[0].pk], answers)
    assert [one.lexeme for one in best.lexemes] == ["outbox", "publish", "relay"]
    assert sum(one.score for one in best.lexemes) == pytest.approx(best.legs[0].raw, abs=1e-4)
    assert (best.legs[0].rank, best.legs[0].normalised, best.legs[0].weight) == (1, 1.0, 1.0)


@pytest.mark.parametrize("group", ["passage", "none", "source"])
async def test_pages_stay_disjoint_and_whole_while_the_index_changes(rig: Rig, group: str) -> None:
    """Between pages documents come that outrank all, others leave; depth 4 so that a page spans several stretches."""
    sources = [await rig.put(f"{' '.join(WORDS[: n % 9 + 1])} number {n}\n", path=f"{n}.md") for n in range(40)]
    await rig.index()
    rig.searcher = rig.searching(depth=4)
    seen: list[str] = []
    gone: set[str] = set()
    cursor: str | None = None
    for turn in range(20):
        answers = await rig.search("relay outbox lease number", cursor=cursor, limit=6, group=group)
        seen += [row["source_id"] for row in answers.rows]
        if (cursor := answers.next_cursor) is None:
            break
        await rig.put("relay outbox lease relay outbox lease number\n", path=f"new{turn}.md")
        gone.add(sources[turn])
        rig.owner.held[sources[turn]] = SourceItem(id=sources[turn], state="tombstone", version=5)
        await rig.tell(sources[turn], 5, "deleted")
        await rig.index()
    assert cursor is None
    assert len(seen) == len(set(seen))
    assert set(sources) - gone <= set(seen)


async def test_cursor_of_another_search_is_refused(rig: Rig) -> None:
    for n in range(4):
        await rig.put(f"relay {n}\n", path=f"{n}.md")
    await rig.index()
    cursor = (await rig.search("relay", limit=2)).next_cursor
    assert cursor
    with pytest.raises(InvalidCursor):
        await rig.search("outbox", limit=2, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await rig.search("relay", limit=2, cursor=cursor, filters=Filters(path="docs/"))


@pytest.mark.parametrize(
    "forged",
    [{"mean": 0.0}, {"mean": -1.0}, {"stretch": [0, [[0, 1, 0, [0, 1], None]]]}, {"stretch": [100, []]},
     {"stretch": [10**12, [[0, 1, 0, [0, 1], None]]]}, {"idfs": []}, {"idfs": [1.0, 2.0, 3.0]}, {"pk": "x"}],
)  # fmt: skip
async def test_forged_cursor_is_refused_and_breaks_nothing(rig: Rig, forged: dict[str, Any]) -> None:
    for n in range(4):
        await rig.put(f"relay {n}\n", path=f"{n}.md")
    await rig.index()
    cursor = (await rig.search("relay", limit=2)).next_cursor
    assert cursor
    position = dict(zip(Position.__struct_fields__, decode_cursor(cursor, list[Any]), strict=True))
    with pytest.raises(InvalidCursor):
        await rig.search("relay", limit=2, cursor=encode_cursor(list({**position, **forged}.values())))


async def test_answer_never_mixes_two_versions_of_a_document(rig: Rig) -> None:
    """Every section tells its version; a document is swapped again and again while it is searched."""
    source = await rig.put(_versioned(1))
    await rig.index()
    swapping = asyncio.create_task(_swap(rig, source, 12))
    seen: list[set[str]] = []
    while not swapping.done() or len(seen) < 20:
        rows = (await rig.search("section of the relay", limit=50)).rows
        seen.append({word for row in rows for word in row["text"].split() if word.startswith("version")})
    await swapping
    assert {len(versions) for versions in seen} == {1}
    assert len(frozenset().union(*seen)) > 1


async def _swap(rig: Rig, source: str, times: int) -> None:
    for version in range(2, times + 2):
        await rig.put(_versioned(version), source_id=source, version=version)
        await rig.index()


def _versioned(version: int) -> str:
    padding = f"words of version{version} that fill the section of the relay. " * 30
    return "".join(f"## Section {n}\n\n{padding}\n\n" for n in range(6))


@pytest.mark.parametrize("path", [None, "src/"])
async def test_ranking_that_begins_with_rare_words_is_the_whole_ranking(rig: Rig, path: str | None) -> None:
    """Common words are in half of 400 chunks and more, rare ones in some; asked with a pool of few and of many."""
    await rig.put("one\n")
    await rig.index()
    choice = random.Random(3)
    shares = {"common": 0.9, "usual": 0.5, "rare": 0.1, "scarce": 0.03}
    postings = [
        (word, 1_000_000 + n, choice.randint(1, 4), choice.randint(50, 200))
        for n in range(400) for word, share in shares.items() if choice.random() < share
    ]  # fmt: skip
    narrow = narrowing(Filters(path=path)) if path else None
    words = [Word(word, idf(400, sum(one[0] == word for one in postings))) for word in shares]
    async with rig.db.transaction("w1") as tx:
        source = await tx.fetch_value("SELECT id FROM indexed_source")
        await tx.execute("UPDATE indexed_source SET path = 'src/a.md'")
        for pk in sorted({one[1] for one in postings}):
            await tx.execute(CHUNK, pk=pk, source=source)
        for word, pk, frequency, length in postings:
            await tx.execute(POSTING, word=word, pk=pk, frequency=frequency, words=length)
        for depth in (5, 20, 200):
            whole = await tx.fetch_all(ranking.rank_sql(narrow), **ranking._asked(words, 100.0, narrow, depth))
            found = await ranking.rank(tx, words, 100.0, narrow, depth)
            assert [row["pk"] for row in found] == [row["pk"] for row in whole]
            assert [row["score"] for row in found] == pytest.approx([row["score"] for row in whole])


CHUNK = """
INSERT INTO chunk (pk, workspace_id, source_id, id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, words,
  context, text) OVERRIDING SYSTEM VALUE
VALUES (:pk, 'w1', :source, CAST(CAST(:pk AS bigint) AS text), 0, '', '{}', 0, 0, 1, 1, '', 'x')
"""
POSTING = """
INSERT INTO posting (workspace_id, lexeme, chunk_pk, frequency, words) VALUES ('w1', :word, :pk, :frequency, :words)
"""


async def test_author_and_time_are_combined(rig: Rig) -> None:
    for month, author in ((1, "one"), (2, "one"), (2, "two")):
        moment = datetime(2026, month, 3, tzinfo=UTC)
        await rig.put("relay\n", path=f"{author}{month}.md", author=author, updated_at=moment)
    await rig.index()
    filters = Filters(authors=("one",), updated_after=datetime(2026, 2, 1, tzinfo=UTC))
    assert await rig.names("relay", filters=filters) == ["one2.md"]
