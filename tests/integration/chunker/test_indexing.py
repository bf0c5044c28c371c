"""What was changed is found, what was removed is not, whatever arrives twice, late or in the wrong order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from libs.common.errors import NotFound
from libs.common.events import IntegrationDisconnected
from libs.common.http.wire import InvalidCursor
from libs.common.internal import SourceItem
from libs.common.testing.eventually import eventually
from services.chunker.domain.searching import Filters
from services.chunker.repository import queue
from services.chunker.repository import search as ranking
from services.chunker.repository import workspaces as repository
from services.chunker.tables import EVERY_TABLE
from services.chunker.use_cases import indexing, reading, workspaces
from services.chunker.use_cases.reading_summaries import read_summary
from services.chunker.workers import indexing as workers
from tests.integration.chunker.conftest import Rig
from tests.support.figures import Tell

GUIDE = "# Guide\n\nHow the relay publishes.\n\n## Retry policy\n\nA failing handler is called again with backoff.\n"


async def test_indexed_source_is_found_by_its_words_with_highlights(rig: Rig) -> None:
    await rig.put(GUIDE, path="docs/guide.md")
    await rig.put("Nothing to see here.\n", path="docs/other.md")
    await rig.index()
    answers = await rig.search("retry policies of a failing handler")
    assert answers.rows[0]["name"] == "guide.md"
    assert "polici" in answers.lexemes
    topics = [row["topic"] for row in await rig.told()]
    assert topics == ["source.indexed", "source.indexed"]


async def test_identifier_is_found_by_its_parts_and_file_by_its_path(rig: Rig) -> None:
    await rig.put("def begin_refresh_token():\n    return parseRefreshAnswer()\n", path="services/auth/tokens.py")
    await rig.index()
    assert await rig.names("refresh token") == ["tokens.py"]
    assert await rig.names("answer") == ["tokens.py"]
    assert await rig.names("auth tokens") == ["tokens.py"]


async def test_edited_paragraph_keeps_the_rows_of_the_other_chunks(rig: Rig) -> None:
    fruits = "apple berry cherry damson elder fig grape hazel".split()
    sections = [f"## The {fruit}\n\n" + f"A sentence about {fruit} and more. " * 30 + "\n\n" for fruit in fruits]
    source = await rig.put("# Long\n\n" + "".join(sections))
    await rig.index()
    before = await chunk_rows(rig, source)
    sections[3] = sections[3].replace("about damson", "about quince")
    await rig.put("# Long\n\n" + "".join(sections), source_id=source, version=2)
    await rig.index()
    after = await chunk_rows(rig, source)
    kept = set(before.items()) & set(after.items())
    assert len(before) - len(kept) <= 2
    assert set(await rig.names("quince")) == {"a.md"}
    assert set(await rig.names("hazel")) == {"a.md"}


async def test_chunks_join_back_to_the_text_and_count_their_words(rig: Rig) -> None:
    source = await rig.put(GUIDE * 20)
    await rig.index()
    rows = await reading.read_chunks(rig.db, "w1", source, after=-1, limit=1000)
    assert "".join(row["text"] for row in rows) == GUIDE * 20
    async with rig.db.transaction("w1") as tx:
        words = await tx.fetch_value("SELECT words FROM indexed_source")
        assert words == await tx.fetch_value("SELECT sum(frequency) FROM posting") > 0


async def test_deleted_source_leaves_search_and_its_late_update_does_not_bring_it_back(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
    await rig.tell(source, 5, "deleted")
    await rig.tell(source, 2)
    await rig.index()
    assert await rig.names("retry policy") == []
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM posting") == 0
        assert await tx.fetch_value("SELECT count(*) FROM summary") == 0


async def test_indexed_version_told_again_is_old_news_and_wants_nothing(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    await rig.tell(source, 1)
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM index_wanted") == 0
    assert len(await rig.told()) == 1


async def test_events_about_what_is_gone_told_again_tell_nothing(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
    await rig.tell(source, 5, "deleted")
    await rig.index()
    told = await rig.told()
    for version, change in ((5, "deleted"), (1, "created")):
        await rig.tell(source, version, change)
        await rig.index()
    assert await rig.told() == told
    assert [row["topic"] for row in told] == ["source.indexed", "source.indexed"]
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM index_wanted") == 0


async def test_text_that_still_cannot_be_cut_when_its_event_comes_again_is_told_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(workers, "cut", fail)
    source = await rig.put(GUIDE)
    for version in (1, 1, 2):
        await rig.put(GUIDE, source_id=source, version=version)
        await rig.index()
    assert [row["topic"] for row in await rig.told()] == ["source.index_failed"] * 2
    monkeypatch.undo()
    await rig.tell(source, 2)
    await rig.index()
    assert await rig.names("retry policy") == ["a.md"]


async def test_older_answer_than_announced_is_asked_again_not_indexed(rig: Rig) -> None:
    source = await rig.put(GUIDE, version=3)
    await rig.tell(source, 9)
    await rig.indexer.step()
    assert await rig.names("retry policy") == []
    await rig.put(GUIDE, source_id=source, version=9)
    await rig.tell(source, 10)
    await rig.put(GUIDE, source_id=source, version=10)
    await due_now(rig)
    await rig.index()
    assert await rig.names("retry policy") == ["a.md"]


async def test_newer_version_wanted_while_indexing_is_indexed_next(rig: Rig) -> None:
    source = await rig.put(GUIDE, version=1)
    async with rig.db.queue() as tx:
        claimed = await queue.claim(tx, 10, 30)
    await rig.put(GUIDE.replace("backoff", "patience"), source_id=source, version=2)
    await rig.indexer._index("w1", claimed)
    await rig.index()
    assert await rig.names("patience") == ["a.md"]
    assert await rig.names("backoff") == []


async def test_thousand_changes_of_a_source_that_is_being_indexed_take_one_more_run(rig: Rig, figure: Tell) -> None:
    source = await rig.put("Word zero stands here.\n")
    rig.owner.slow = asyncio.Event()
    running = asyncio.create_task(rig.indexer.step())
    await eventually(lambda: len(rig.owner.asked) == 1)
    for version in range(2, 1002):
        await rig.put(f"Word number{version} stands here.\n", source_id=source, version=version)
    rig.owner.slow.set()
    await running
    await rig.index()
    runs = sum(row["topic"] == "source.indexed" for row in await rig.told())
    figure("index_runs", runs, "runs", "1000 changes")
    assert runs == 2
    assert await rig.names('"number1001"') == ["a.md"]
    assert await rig.names('"number1000"') == []


async def test_change_takes_no_source_from_whoever_indexes_it_and_a_delete_does(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    rig.owner.slow = asyncio.Event()
    first = asyncio.create_task(rig.indexer.step())
    await eventually(lambda: len(rig.owner.asked) == 1)
    await rig.put(GUIDE.replace("backoff", "patience"), source_id=source, version=2)
    assert not await rig.indexer.step()
    rig.owner.slow.set()
    await first
    assert await rig.names("backoff") == ["a.md"]
    rig.owner.slow.clear()
    second = asyncio.create_task(rig.indexer.step())
    await eventually(lambda: len(rig.owner.asked) == 2)
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=3)
    await rig.tell(source, 3, "deleted")
    third = asyncio.create_task(rig.indexer.step())
    await eventually(lambda: len(rig.owner.asked) == 3)
    rig.owner.slow.set()
    await asyncio.gather(second, third)
    assert await rig.names("retry policy") == []


async def test_stale_indexer_whose_row_was_claimed_anew_writes_nothing(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    async with rig.db.queue() as tx:
        stale = await queue.claim(tx, 10, 0)
        await queue.claim(tx, 10, 30)
    await rig.indexer._index("w1", stale)
    assert await rig.names("retry") == []
    assert await rig.told() == []
    assert source


async def test_owner_away_postpones_and_loses_nothing(rig: Rig) -> None:
    await rig.put(GUIDE)
    rig.owner.away = True
    await rig.index()
    rig.owner.away = False
    await due_now(rig)
    await rig.index()
    assert await rig.names("retry policy") == ["a.md"]


async def test_one_workspace_with_many_sources_does_not_starve_another(rig: Rig) -> None:
    for n in range(60):
        await rig.put(f"large {n}\n", path=f"l{n}.md", workspace="w1")
    await rig.put("small one\n", path="s.md", workspace="w2")
    await rig.indexer.step()
    assert await rig.names("small", workspace="w2") == ["s.md"]


async def test_large_document_keeps_nobody_of_its_batch_waiting(rig: Rig) -> None:
    large = await rig.put(GUIDE * 200, path="large.md")
    small = [await rig.put(GUIDE, path=f"{n}.md") for n in range(3)]
    await rig.indexer.step()
    told = [msgspec.json.decode(bytes.fromhex(row["payload"][2:]))["source_id"] for row in await rig.told()]
    assert told[-1] == large
    assert sorted(told[:-1]) == sorted(small)


async def test_two_indexers_side_by_side_index_each_source_once(rig: Rig) -> None:
    for n in range(30):
        await rig.put(f"source number {n}\n", path=f"n{n}.md")
    await asyncio.gather(*(rig.index() for _ in range(4)))
    assert len(await rig.told()) == 30


async def test_foreign_workspace_finds_nothing_and_unknown_one_is_not_found(rig: Rig) -> None:
    await rig.put(GUIDE, workspace="w1")
    await rig.put("something else\n", workspace="w2")
    await rig.index()
    assert await rig.names("retry policy", workspace="w2") == []
    with pytest.raises(NotFound):
        await rig.search("retry", workspace="w3")


async def test_disconnected_integration_leaves_search(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    event = IntegrationDisconnected(workspace_id="w1", integration_id="i1", provider="github", version=2, cause="user")
    await indexing.want_integration_removed(event, rig.deps)
    del rig.owner.held[source]
    await rig.index()
    assert await rig.names("retry policy") == []


async def test_erased_workspace_keeps_nothing_and_refuses_late_events(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    await workspaces.erase_workspace("w1", rig.deps)
    await rig.tell(source, 9)
    async with rig.db.transaction("w1") as tx:
        for table in EVERY_TABLE:
            assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0, table


async def test_erasure_of_a_large_workspace_goes_in_steps_and_is_seen_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction for millions of rows would run out of its time, again and again."""
    monkeypatch.setattr(repository, "STEP", 2)
    for name in "abcde":
        await rig.put(GUIDE, path=f"{name}.md")
    await rig.put(GUIDE, workspace="w2")
    await rig.index()
    await workspaces.erase_workspace("w1", rig.deps)
    with pytest.raises(NotFound):
        await rig.search("retry")
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT kind FROM job") == workspaces.ERASE_REST
        assert await tx.fetch_value("SELECT count(*) FROM posting") > 0
    await workspaces.erase_rest(rig.db, "w1")
    async with rig.db.transaction("w1") as tx:
        for table in EVERY_TABLE:
            assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
    async with rig.db.transaction("w2") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM indexed_source") == 1


async def test_change_that_comes_while_its_workspace_is_erased_leaves_no_row(rig: Rig) -> None:
    source = await rig.put(GUIDE)
    await rig.index()
    async with rig.db.transaction("w1") as tx:
        await repository.erase(tx, "w1")
        late = asyncio.create_task(rig.tell(source, 9))
        await eventually(lambda: _somebody_waits(rig))
    await late
    async with rig.db.transaction("w1") as tx:
        for table in EVERY_TABLE:
            assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0, table


async def _somebody_waits(rig: Rig) -> bool:
    async with rig.db.queue() as tx:
        return bool(await tx.fetch_value("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_pages_by_cursor_are_disjoint_and_whole(rig: Rig) -> None:
    for n in range(7):
        await rig.put(f"common word {n}\n", path=f"p{n}.md")
    await rig.index()
    seen: list[str] = []
    cursor: str | None = None
    while True:
        answers = await rig.search("common word", limit=3, cursor=cursor)
        seen += [row["source_id"] for row in answers.rows]
        cursor = answers.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


async def test_foreign_cursor_is_refused(rig: Rig) -> None:
    await rig.put(GUIDE)
    with pytest.raises(InvalidCursor):
        await rig.search("retry", cursor="bm90IG91cnM")


async def test_filters_narrow_by_type_path_author_and_time(rig: Rig) -> None:
    await rig.put("shared words\n", path="src/a.md", author="one", updated_at=datetime(2026, 1, 2, tzinfo=UTC))
    await rig.put("shared words\n", path="docs/b.md", author="two", updated_at=datetime(2026, 3, 2, tzinfo=UTC))
    await rig.index()
    assert await rig.names("shared", filters=Filters(path="src/")) == ["a.md"]
    assert await rig.names("shared", filters=Filters(authors=("two",))) == ["b.md"]
    assert await rig.names("shared", filters=Filters(updated_after=datetime(2026, 2, 1, tzinfo=UTC))) == ["b.md"]
    assert await rig.names("shared", filters=Filters(types=("issue",))) == []


@pytest.mark.parametrize("query", ["'", "a & | ! b", "<->", "%", "\\", ":*", "(((", "x'); DROP TABLE chunk; --", "é😀"])
async def test_hostile_query_is_words_and_nothing_else(rig: Rig, query: str) -> None:
    await rig.put(GUIDE)
    await rig.index()
    assert isinstance(await rig.names(query), list)


async def test_lock_file_and_binary_are_known_but_not_searched(rig: Rig) -> None:
    await rig.put("retry\n", path="uv.lock")
    await rig.put("", path="logo.bin", metadata={"skipped": "binary"})
    await rig.index()
    assert await rig.names("retry") == []
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM indexed_source WHERE skipped IS NOT NULL") == 2


async def test_summary_of_source_and_sections_is_kept_and_replaced(rig: Rig) -> None:
    long = "".join(f"## Part {n}\n\n" + f"Sentence about thing {n} and more of it. " * 40 + "\n\n" for n in range(3))
    source = await rig.put("# Whole\n\n" + long)
    await rig.index()
    answer = await read_summary(rig.db, "w1", f"source:{source}")
    assert answer.node["text"]
    assert [node["title"] for node in answer.rows] == ["Part 0", "Part 1", "Part 2"]
    await rig.put("# Whole\n\nShort now but still a sentence of words.\n", source_id=source, version=2)
    await rig.index()
    answer = await read_summary(rig.db, "w1", f"source:{source}")
    assert (answer.node["text"], list(answer.rows)) == ("Short now but still a sentence of words.", [])


async def chunk_rows(rig: Rig, source: str) -> dict[str, int]:
    async with rig.db.transaction("w1") as tx:
        rows = await tx.fetch_all("SELECT id, pk FROM chunk WHERE source_id = :source", source=source)
    return {row["id"]: row["pk"] for row in rows}


async def due_now(rig: Rig) -> None:
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE index_wanted SET due_at = now()")


async def test_search_before_any_statistics_looks_postings_up_by_index(rig: Rig) -> None:
    """Right after a first sync the planner knows nothing of the table; scanning it took five seconds."""
    await rig.put(GUIDE)
    await rig.index()
    fill = (
        "INSERT INTO posting (workspace_id, lexeme, chunk_pk, frequency, words)"
        " SELECT 'w1', 'filler' || n % 500, 1000000 + n, 1, 100 FROM generate_series(1, 20000) AS n"
    )
    async with rig.db.transaction("w1") as tx:
        await tx.execute(fill)
        asked = {"lexemes": ["filler1", "relay"], "idfs": [1.0, 2.0], "mean": 100.0, "depth": 10}
        plan = await tx.fetch_all(f"EXPLAIN {ranking.rank_sql(None)}", **asked)
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Seq Scan on posting" not in text
    assert "posting_pkey" in text
