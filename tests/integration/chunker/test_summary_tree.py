"""The summary tree: an edit is heard along its own path alone, and what leaves a workspace leaves the tree."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from libs.common.database.transaction import Row
from libs.common.errors import LeaseLost, NotFound
from libs.common.events import IntegrationDisconnected
from libs.common.internal import SourceItem
from libs.common.testing.crashpoints import ProcessDied, watching
from services.chunker.domain.summaries import SETTLES_S, Asked, WantedTree
from services.chunker.repository.summaries import wanted
from services.chunker.summarising import Written
from services.chunker.summarising.endpoint import ANSWER_SECONDS, ATTEMPTS, LONGEST_WAIT
from services.chunker.summarising.extracting import Extracting
from services.chunker.summarising.tree import WIDEST
from services.chunker.tables import EVERY_TABLE
from services.chunker.use_cases import indexing, summaries, workspaces
from services.chunker.use_cases.reading_summaries import read_summary, read_summary_chunks
from services.chunker.workers.summarising import Summariser
from tests.integration.chunker.conftest import Rig
from tests.support.figures import Tell

WORDS = (
    "relay lease cursor broker vault tenant outbox worker shard replica quorum epoch ledger tombstone window".split()
)


def sentence(random: Random) -> str:
    return f"The {random.choice(WORDS)} of {random.randrange(10**6)} keeps its {random.choice(WORDS)} in order. "


def paragraph(random: Random) -> str:
    return "".join(sentence(random) for _ in range(6)).strip() + "\n\n"


def document(headings: bool, size: int = 1_000_000) -> list[str]:
    """Paragraphs, with headings of three levels among them or with none."""
    random, length = Random(7), 0
    parts: list[str] = []
    while length < size:
        at = len(parts)
        if headings and at % 20 == 0:
            level = 1 + (at // 20 % 4 > 0) + (at // 20 % 2 > 0)
            parts.append(f"{'#' * (level + 1)} About {random.choice(WORDS)} number {at}\n\n")
        else:
            parts.append(paragraph(random))
        length += len(parts[-1])
    return parts


async def made(rig: Rig) -> dict[str, object]:
    """Node → when it was made last."""
    async with rig.db.transaction("w1") as tx:
        rows = await tx.fetch_all("SELECT id, made_at FROM summary")
    return {row["id"]: row["made_at"] for row in rows}


async def leased_for(rig: Rig) -> float:
    """Seconds until the tree that is being made is another's to claim."""
    async with rig.db.queue() as tx:
        sql = "SELECT extract(epoch FROM max(leased_until) - now()) FROM summary_wanted"
        return float(await tx.fetch_value(sql))


async def nodes(rig: Rig, level: str, workspace: str = "w1") -> Sequence[Row]:
    async with rig.db.transaction(workspace) as tx:
        return await tx.fetch_all("SELECT * FROM summary WHERE level = :level ORDER BY place", level=level)


async def depth_of(rig: Rig, source: str) -> int:
    async with rig.db.transaction("w1") as tx:
        sql = "SELECT coalesce(max(height), 0) FROM summary WHERE tree = :tree"
        return int(await tx.fetch_value(sql, tree=f"source:{source}")) + 4  # the source and the three levels above


@pytest.mark.parametrize("headings", [True, False])
async def test_one_paragraph_of_a_megabyte_makes_no_more_than_its_path_anew(
    rig: Rig, figure: Tell, headings: bool
) -> None:
    parts = document(headings)
    source = await rig.put("".join(parts))
    await rig.index()
    await rig.settle()
    depth = await depth_of(rig, source)
    random, worst = Random(3), 0
    prose = [n for n, part in enumerate(parts) if not part.startswith("#")]
    for version, at in enumerate((prose[0], prose[-1], *random.sample(prose, 2)), 2):
        before = await made(rig)
        parts[at] = paragraph(random)
        await rig.put("".join(parts), source_id=source, version=version)
        await rig.index()
        await rig.settle()
        after = await made(rig)
        anew = [node for node, moment in after.items() if before.get(node) != moment]
        assert 1 <= len(anew) <= depth + 1
        worst = max(worst, len(anew))
    figure(f"summaries_recomputed_{'headings' if headings else 'flat'}", worst, "nodes", depth + 1)


async def test_every_node_is_made_from_those_below_it_up_to_the_workspace(rig: Rig) -> None:
    for n in range(3):
        await rig.put(f"# Page {n}\n\nThe page of number {n} says what it is about.\n", path=f"docs/{n}.md")
    await rig.put("Another resource holds this one sentence.\n", resource_id="r2", resource_name="two")
    await rig.index()
    await rig.settle()
    answer = await read_summary(rig.db, "w1", "workspace:w1")
    assert [row["id"] for row in answer.rows] == ["integration:i1"]
    answer = await read_summary(rig.db, "w1", "integration:i1")
    assert [(row["id"], row["children"]) for row in answer.rows] == [("resource:r1", 3), ("resource:r2", 1)]
    assert "Another resource holds this one sentence." in answer.node["text"]
    sources = await read_summary(rig.db, "w1", "workspace:w1", level="source")
    assert len(sources.rows) == 4
    chunks, _ = await read_summary_chunks(rig.db, "w1", "workspace:w1", cursor=None, limit=100)
    assert {row["source_id"] for row in chunks} == {row["source_id"] for row in sources.rows}


async def test_what_says_the_same_as_before_stops_the_change(rig: Rig) -> None:
    text = "The lease gives one worker the right to pull a resource.\n\n```\nx = {}\n```\n"
    source = await rig.put(text.format(1))
    await rig.put("Another page of the same resource says this.\n", path="b.md")
    await rig.index()
    await rig.settle()
    before = await made(rig)
    await rig.put(text.format(2), source_id=source, version=2)
    await rig.index()
    async with rig.db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM summary_wanted") == 0
    after = await made(rig)
    assert [node for node in after if before[node] != after[node]] == [f"source:{source}"]


FILL = (
    "INSERT INTO indexed_source (id, workspace_id, integration_id, resource_id, provider, type, name, version,"
    " content_hash, chunks, words) SELECT 's' || n, 'w1', 'i1', 'r1', 'github', 'file', 'f', 1, '', 0, 0"
    " FROM generate_series(1, :count) AS n",
    "INSERT INTO summary (workspace_id, id, level, tree, height, place, integration_id, resource_id, source_id, title,"
    " text, method, input_hash, hash) SELECT 'w1', 'source:s' || n, 'source', 'resource:r1', 0,"
    " format('src/d%s/%s', n % 37, md5(CAST(n AS text))), 'i1', 'r1', 's' || n, 'f' || n,"
    " format('File %s tells about thing %s.', n, n % 11), 'extractive', '', md5(CAST(n AS text))"
    " FROM generate_series(1, :count) AS n",
    "INSERT INTO summary_change (workspace_id, tree, item_id) SELECT 'w1', 'resource:r1', 'source:s' || n"
    " FROM generate_series(1, :count) AS n",
)


async def test_ten_thousand_sources_are_read_through_groups_of_bounded_width(rig: Rig, figure: Tell) -> None:
    count = 10_000
    async with rig.db.transaction("w1") as tx:
        for sql in FILL:
            await tx.execute(sql, count=count)
        await wanted.want(tx, "w1", "resource:r1")
    await rig.settle()
    async with rig.db.transaction("w1") as tx:
        widest = await tx.fetch_value(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM summary GROUP BY parent_id) AS counted"
        )
        below = await tx.fetch_value(
            "WITH RECURSIVE b AS (SELECT id FROM summary WHERE id = 'workspace:w1' UNION ALL"
            " SELECT s.id FROM summary s JOIN b ON s.parent_id = b.id) SELECT count(*) FROM b WHERE id LIKE 'source:%'"
        )
    assert below == count
    assert widest <= WIDEST
    figure("summary_fan_in", widest, "children", f"{count} sources")
    before = await made(rig)
    await rig.put("An entirely new sentence about the moon.\n", path="src/d5/0.md")
    await rig.index()
    await rig.settle()
    after = await made(rig)
    anew = [node for node, moment in after.items() if before.get(node) != moment]
    figure("summaries_of_one_more_source", len(anew), "nodes", 8)
    assert len(anew) <= 8


async def test_a_hundred_changes_make_the_root_anew_once_when_they_settled(rig: Rig, figure: Tell) -> None:
    source = await rig.put("Sentence number zero stands here.\n")
    for version in range(2, 102):
        await rig.put(f"Sentence number {version} stands here.\n", source_id=source, version=version)
        await rig.index()
    assert SETTLES_S["workspace"] > SETTLES_S["integration"] > SETTLES_S["resource"] > 0
    made_trees: list[str] = []
    rig.summariser = Counting(rig.summariser, made_trees)
    await rig.settle()
    figure("summaries_of_the_root", made_trees.count("workspace:w1"), "times", "100 changes")
    assert made_trees.count("workspace:w1") == 1
    assert "Sentence number 101" in (await nodes(rig, "workspace"))[0]["text"]


class Counting(Summariser):
    """A summariser that remembers which trees it was given."""

    def __init__(self, inner: Summariser, seen: list[str]) -> None:
        super().__init__(inner.db, inner.writer)
        self.__dict__["seen"] = seen

    async def _rebuild(self, tree: WantedTree) -> None:
        self.__dict__["seen"].append(tree.tree)
        await super()._rebuild(tree)


async def test_deleted_renamed_and_moved_sources_leave_their_old_place(rig: Rig) -> None:
    sources = [await rig.put(f"The page number {n} is about this.\n", path=f"a/{n}.md") for n in range(3)]
    await rig.index()
    await rig.settle()
    rig.owner.held[sources[0]] = SourceItem(id=sources[0], state="tombstone", version=5)
    await rig.tell(sources[0], 5, "deleted")
    await rig.put("The page number 1 is about this.\n", path="z/1.md", source_id=sources[1], version=2)
    await rig.put(
        "The page number 2 is about this.\n", path="a/2.md", source_id=sources[2], version=2, resource_id="r2"
    )
    await rig.index()
    await rig.settle()
    first = await read_summary(rig.db, "w1", "resource:r1")
    second = await read_summary(rig.db, "w1", "resource:r2")
    assert [row["source_id"] for row in first.rows] == [sources[1]]
    assert [row["source_id"] for row in second.rows] == [sources[2]]
    assert "number 0" not in (await nodes(rig, "workspace"))[0]["text"]


async def test_deselected_resource_and_disconnected_integration_leave_nothing(rig: Rig) -> None:
    held = [
        await rig.put(f"Page {n} of a resource says this.\n", path=f"{n}.md", resource_id=f"r{n % 2}") for n in range(6)
    ]
    other = await rig.put("Another integration stays as it is.\n", integration_id="i2", resource_id="r9")
    await rig.index()
    await rig.settle()
    for source in held[::2]:  # deselected: its owner tells of each
        rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
        await rig.tell(source, 5, "deleted")
    await rig.index()
    await rig.settle()
    assert [row["id"] for row in await nodes(rig, "resource")] == ["resource:r1", "resource:r9"]
    event = IntegrationDisconnected(workspace_id="w1", integration_id="i1", provider="github", version=2, cause="user")
    await indexing.want_integration_removed(event, rig.deps)
    with pytest.raises(NotFound):
        await read_summary(rig.db, "w1", "integration:i1")
    for source in held:
        rig.owner.held.pop(source)
    await rig.index()
    await rig.settle()
    left = set(await made(rig))
    assert left == {f"source:{other}", "resource:r9", "integration:i2", "workspace:w1"}
    async with rig.db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM summary_wanted") == 0


async def test_last_source_of_a_workspace_takes_the_tree_with_it(rig: Rig) -> None:
    sources = [await rig.put(f"Page {n} says a sentence of its own.\n", path=f"{n:04d}.md") for n in range(70)]
    await rig.index()
    await rig.settle()
    assert await nodes(rig, "group")
    for source in sources:
        rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=5)
        await rig.tell(source, 5, "deleted")
    await rig.index()
    await rig.settle()
    assert await made(rig) == {}


async def test_erased_workspace_keeps_no_row_of_its_tree(rig: Rig) -> None:
    await rig.put("A page that says something.\n")
    await rig.index()
    await workspaces.erase_workspace("w1", rig.deps)
    await rig.settle()
    async with rig.db.transaction("w1") as tx:
        for table in EVERY_TABLE:
            assert await tx.fetch_value(f"SELECT count(*) FROM {table}") == 0, table


@pytest.mark.parametrize("point", ["chunker.summaries_placed", "chunker.summaries_made"])
async def test_killed_summariser_is_followed_by_one_that_ends_the_work(rig: Rig, point: str) -> None:
    for n in range(80):
        await rig.put(f"Page {n} says a sentence of its own.\n", path=f"{n:04d}.md")
    await rig.index()

    def die(arrived: str) -> None:
        if arrived == point:
            raise ProcessDied

    async with rig.db.queue() as tx:
        await tx.execute("UPDATE summary_wanted SET due_at = now()")
    with watching(die), pytest.raises(ProcessDied):
        await rig.summariser.step()
    assert 0 < await leased_for(rig) <= 30
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE summary_wanted SET leased_until = now()")
    await rig.settle()
    assert (await nodes(rig, "workspace"))[0]["children"] == 1
    assert {row["children"] <= WIDEST for row in await nodes(rig, "group")} == {True}


async def test_tree_is_held_for_as_long_as_an_endpoint_may_take_to_answer(rig: Rig) -> None:
    held: list[float] = []

    class Endpoint:
        better = True

        async def write(self, asked: Asked) -> Written:
            held.append(await leased_for(rig))
            return Written("What the page says.", "llm", "")

    await rig.put("A page that says something.\n")
    await rig.index()
    rig.summariser = Summariser(rig.db, Endpoint())
    await rig.settle()
    assert held
    assert min(held) > ATTEMPTS * ANSWER_SECONDS + (ATTEMPTS - 1) * LONGEST_WAIT


async def test_summariser_whose_tree_was_claimed_anew_writes_nothing(rig: Rig) -> None:
    await rig.put("A page that says something.\n")
    await rig.index()
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE summary_wanted SET due_at = now()")
        [slow] = await wanted.claim(tx, 1, 0)
        await wanted.claim(tx, 1, 60)
    with pytest.raises(LeaseLost):
        await summaries.rebuild(rig.db, slow, Extracting())
    assert await nodes(rig, "resource") == []


async def test_changes_while_the_tree_is_made_are_never_lost(rig: Rig) -> None:
    """Indexers and summarisers side by side: at the end the tree says what the sources say."""
    sources = [await rig.put(f"Sentence {n} of version 1.\n", path=f"{n:03d}.md") for n in range(70)]

    async def index_all() -> None:
        for version in (2, 3):
            for n, source in enumerate(sources):
                text = f"Sentence {n} of version {version}.\n"
                await rig.put(text, path=f"{n:03d}.md", source_id=source, version=version)
            await rig.index()

    async def make_all() -> None:
        for _ in range(40):
            async with rig.db.queue() as tx:
                await tx.execute("UPDATE summary_wanted SET due_at = now()")
            await rig.summariser.step()

    await asyncio.gather(index_all(), make_all(), make_all())
    await rig.settle()
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM summary WHERE stale") == 0
        assert await tx.fetch_value("SELECT count(*) FROM summary WHERE text LIKE '%version 1%'") == 0
        assert await tx.fetch_value("SELECT count(*) FROM summary_change") == 0
    for group in await nodes(rig, "group"):
        assert group["children"] == len((await read_summary(rig.db, "w1", group["id"], limit=100)).rows)


async def test_foreign_workspace_reads_no_node(rig: Rig) -> None:
    source = await rig.put("A page that says something.\n")
    await rig.put("Something else is here.\n", workspace="w2", integration_id="i2", resource_id="r2")
    await rig.index()
    await rig.settle()
    with pytest.raises(NotFound):
        await read_summary(rig.db, "w2", f"source:{source}")
    assert await rig.db.locate("summary", f"source:{source}") == "w1"


ONE_CHUNK_EACH = (
    "INSERT INTO chunk (workspace_id, source_id, id, ordinal, anchor, heading_path, start_byte, end_byte, tokens,"
    " words, context, text) SELECT 'w1', 's' || n, 'c' || n, 0, '', '{}', 0, 1, 1, 1, '', 'x'"
    " FROM generate_series(1, :count) AS n"
)


async def test_chunks_of_groups_are_those_of_their_resource_a_page_at_a_time(rig: Rig) -> None:
    count = 300
    async with rig.db.transaction("w1") as tx:
        for sql in (*FILL, ONE_CHUNK_EACH):
            await tx.execute(sql, count=count)
        await wanted.want(tx, "w1", "resource:r1")
    await rig.settle()

    async def below(node: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            rows, cursor = await read_summary_chunks(rig.db, "w1", node, cursor=cursor, limit=37)
            found += [row["chunk_id"] for row in rows]
            if cursor is None:
                return found

    whole = await below("resource:r1")
    assert len(whole) == len(set(whole)) == count
    groups = [await below(row["id"]) for row in await nodes(rig, "group") if row["parent_id"] == "resource:r1"]
    assert len(groups) > 1
    assert sorted(one for group in groups for one in group) == sorted(whole)
