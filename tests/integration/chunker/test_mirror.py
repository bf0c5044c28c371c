"""An OpenSearch beside Postgres is told of everything, once and again: whoever dies, it ends up with the truth."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from libs.common.errors import DependencyDown
from libs.common.http.client import OutboundClient
from libs.common.internal import SourceItem
from libs.common.telemetry.metrics import value
from libs.common.testing.crashpoints import ProcessDied, watching
from services.chunker.domain.embedding import Generation, QueryVector
from services.chunker.domain.mirroring import Document, Told
from services.chunker.domain.searching import Filters
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.index.choosing import mirrored
from services.chunker.index.opensearch.bodies import Scope, workspace_body
from services.chunker.index.opensearch.connection import connect
from services.chunker.index.opensearch.engine import Engine
from services.chunker.index.opensearch.reading import OpenSearchReading
from services.chunker.index.postgres import PostgresIndex, PostgresReading
from services.chunker.use_cases import mirroring, workspaces
from services.chunker.use_cases.searching import Searcher
from services.chunker.workers.mirroring import MirrorWorker
from tests.integration.chunker.conftest import Rig, mirror_all
from tests.integration.chunker.embedding import Double, Embedding
from tests.support.figures import Tell

POINTS = ("mirror.claimed", "mirror.intended", "mirror.told", "mirror.settled", "chunker.claimed", "chunker.indexed")


@pytest.fixture
async def worker(rig: Rig) -> AsyncIterator[MirrorWorker]:
    """The rig's own; what it indexes is told only when a test says so."""
    assert rig.mirror is not None
    worker, rig.mirror = rig.mirror, None
    yield worker
    rig.mirror = worker


async def held(rig: Rig, worker: MirrorWorker, workspace: str = "w1") -> set[int]:
    """Whatever the engine holds of a workspace, allowed or not."""
    living = await mirroring.living_mirror(rig.db)
    assert living is not None
    await worker.engine.refresh(living.id)
    found = await worker.engine._search(living.id, workspace, workspace_body(Scope(workspace), 1000))
    return {int(hit["fields"]["pk"][0]) for hit in found["hits"]["hits"]}


async def truth(rig: Rig, workspace: str = "w1") -> set[int]:
    async with rig.db.transaction(workspace) as tx:
        return {row["pk"] for row in await tx.fetch_all("SELECT pk FROM chunk")}


async def answers_by(rig: Rig) -> type[object]:
    async with rig.index_of_all.reading("w1") as reading:
        return type(reading)


async def delete(rig: Rig, source: str, version: int) -> None:
    rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=version)
    await rig.tell(source, version, "deleted")
    await rig.index()


async def test_change_is_found_before_the_engine_is_told_and_after(rig: Rig, worker: MirrorWorker) -> None:
    """A document of several chunks is rewritten: at no moment are words of both versions found, or of none."""
    old, new = (
        "".join(f"## Part {n}\n\n{word} {'filler ' * 200}\n\n" for n in range(4)) for word in ("older", "newer")
    )
    source = await rig.put(old, path="a.md")
    await rig.put("Something that stays.\n", path="b.md")
    await rig.index()
    assert await rig.names("older") != []
    await mirror_all(worker)
    assert await truth(rig) == await held(rig, worker)
    await rig.put(new, path="a.md", source_id=source, version=2)
    await rig.index()
    for _ in range(2):
        assert set(await rig.names("newer")) == {"a.md"}
        assert await rig.names("older") == []
        assert await rig.names("stays") == ["b.md"]
        await mirror_all(worker)
    assert await truth(rig) == await held(rig, worker)


async def test_deleted_source_and_foreign_chunks_are_not_shown_whatever_the_engine_says(
    rig: Rig, worker: MirrorWorker
) -> None:
    source = await rig.put("relay one\n", path="a.md")
    await rig.put("relay two\n", path="b.md")
    await rig.put("relay three\n", path="c.md", workspace="w2")
    await rig.index()
    await mirror_all(worker)
    gone = await truth(rig)
    async with rig.db.transaction("w1") as tx:  # the engine is not told of this: no wish is left
        for table in ("posting WHERE chunk_pk IN (SELECT pk FROM chunk WHERE source_id = :id)",
                      "chunk WHERE source_id = :id", "indexed_source WHERE id = :id"):  # fmt: skip
            await tx.execute(f"DELETE FROM {table}", id=source)
    assert await held(rig, worker) == gone > await truth(rig)
    assert await rig.names("relay") == ["b.md"]
    assert await rig.names("relay", filters=Filters(path="a")) == []


async def test_workers_that_die_anywhere_leave_the_engine_with_the_truth(
    rig: Rig, worker: MirrorWorker, figure: Tell
) -> None:
    chance = random.Random(6)
    deaths = 25
    sources = [await rig.put(f"relay number {n}\n\n## Two\n\nmore {n}\n", path=f"{n}.md") for n in range(6)]
    await rig.index()
    for turn in range(2, deaths + 2):
        source = chance.choice(sources)
        rig.owner.held.pop(source, None)
        if chance.random() < 0.3:
            rig.owner.held[source] = SourceItem(id=source, state="tombstone", version=turn)
            await rig.tell(source, turn, "deleted")
        else:
            await rig.put(f"relay of turn {turn}\n", source_id=source, version=turn, path=f"{turn}.md")
        await die_at(rig, worker, chance.choice(POINTS))
        async with rig.db.queue() as tx:
            await tx.execute("UPDATE index_wanted SET due_at = now()")
            await tx.execute("UPDATE mirror_wanted SET due_at = now()")
    await rig.index()
    await mirror_all(worker)
    there, wanted = await held(rig, worker), await truth(rig)
    figure("mirror_kills", len(there ^ wanted), "differences", deaths)
    assert there == wanted != set()


async def die_at(rig: Rig, worker: MirrorWorker, point: str) -> None:
    def arrived(name: str) -> None:
        if name == point:
            raise ProcessDied(name)

    with watching(arrived):
        try:
            await rig.index()
            while await worker.step():
                pass
        except ProcessDied:
            return


async def test_late_worker_overwrites_nothing_newer(rig: Rig, worker: MirrorWorker) -> None:
    """It read the first version, slept beyond its lease, and tells of it when the second one is there."""
    source = await rig.put("older\n", path="a.md")
    await rig.index()
    claimed = await mirroring.claim(rig.db, 10, 0.0)
    late = await mirroring.intend(rig.db, claimed, 0.0)
    assert late is not None
    await rig.put("newer\n", path="a.md", source_id=source, version=2)
    await rig.index()
    await mirror_all(worker)
    living = await mirroring.living_mirror(rig.db)
    assert living is not None
    await worker.engine.tell(living.id, late.told)
    await mirroring.settle(rig.db, late)
    assert await held(rig, worker) == await truth(rig)


async def test_erased_workspace_leaves_nothing_in_the_engine(rig: Rig, worker: MirrorWorker) -> None:
    for workspace in ("w1", "w2"):
        await rig.put("relay\n", workspace=workspace)
    await rig.index()
    await mirror_all(worker)
    assert await held(rig, worker) != set()
    await workspaces.erase_workspace("w1", rig.deps)
    async with rig.db.queue() as tx:
        wish = await tx.fetch_one("SELECT erase, due_at > now() AS later FROM mirror_wanted WHERE workspace_id = 'w1'")
        assert dict(wish or {}) == {"erase": True, "later": True}  # whoever tells of it just now is done by then
        await tx.execute("UPDATE mirror_wanted SET due_at = now()")
    await mirror_all(worker)
    assert await held(rig, worker) == set()
    assert await held(rig, worker, "w2") != set()
    await workspaces.erase_workspace("w1", rig.deps)  # told again
    async with rig.db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM mirror_wanted") == 0


async def test_postgres_answers_until_the_mirror_is_whole(rig: Rig, worker: MirrorWorker) -> None:
    """What was there before the switch is told in the background; the backlog is shown meanwhile."""
    await mirroring.end_mirror(rig.db)
    for n in range(30):
        await rig.put(f"relay {n}\n", path=f"{n}.md")
    await rig.index()
    worker._settled = False
    worker.batch = 8
    answered = []
    while await worker.step():
        answered.append(await answers_by(rig))
        assert len(await rig.names("relay", limit=50)) == 30
        assert value("chunker_mirror_whole") == (answered[-1] is OpenSearchReading)
    assert answered[0] is PostgresReading
    assert await answers_by(rig) is OpenSearchReading
    assert await held(rig, worker) == await truth(rig)


async def test_engine_that_lost_its_index_is_filled_anew_while_postgres_answers(rig: Rig, worker: MirrorWorker) -> None:
    await rig.put("relay\n", path="a.md")
    await rig.index()
    await mirror_all(worker)
    lost = await mirroring.living_mirror(rig.db)
    assert lost is not None
    await worker.engine.drop(lost.id)
    with pytest.raises(DependencyDown):
        await rig.names("relay")
    worker.batch = 0
    await worker.step()
    assert await answers_by(rig) is PostgresReading
    assert await rig.names("relay") == ["a.md"]
    worker.batch = 10
    await mirror_all(worker)
    assert await answers_by(rig) is OpenSearchReading
    assert await held(rig, worker) == await truth(rig)


async def test_engine_that_is_away_is_told_and_the_changes_wait(rig: Rig, worker: MirrorWorker) -> None:
    await rig.put("relay\n", path="a.md")
    await rig.index()
    await mirror_all(worker)
    outbound = OutboundClient(attempts=1).for_own("http://127.0.0.1:9")
    away = Engine(connect("http://127.0.0.1:9", "", "", outbound))
    index, rig.index_of_all = rig.index_of_all, mirrored(rig.db, away)
    rig.searcher = rig.searching()
    with pytest.raises(DependencyDown):
        await rig.names("relay")
    assert not await away.ready()
    await rig.put("outbox\n", path="b.md")
    await rig.index()
    assert not await MirrorWorker(db=rig.db, engine=away).step()
    await outbound.aclose()
    rig.index_of_all = index
    rig.searcher = rig.searching()
    await mirror_all(worker)
    assert await rig.names("outbox") == ["b.md"]
    assert await held(rig, worker) == await truth(rig)


async def test_engine_that_is_no_longer_wanted_holds_nothing(rig: Rig, worker: MirrorWorker) -> None:
    await rig.put("relay\n", path="a.md")
    await rig.index()
    await mirror_all(worker)
    living = await mirroring.living_mirror(rig.db)
    assert living is not None
    await MirrorWorker(db=rig.db, engine=worker.engine, wanted=False).step()
    assert not await worker.engine.exists(living.id)
    assert await rig.names("relay") == ["a.md"]
    await rig.put("outbox\n", path="b.md")
    await rig.index()
    async with rig.db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM mirror_wanted") == 0


async def test_both_rank_alike(rig: Rig, worker: MirrorWorker) -> None:
    """The same scores from either, by words and by vectors: of all, narrowed, and while half is not told yet."""
    chance = random.Random(31)
    words = "relay outbox lease cursor tombstone webhook signature vault".split()
    embedding = Embedding(rig, Double())
    await embedding.worker.step()
    for n in range(60):
        sections = [" ".join(chance.choices(words, k=chance.randint(3, 40))) for _ in range(1 + n % 3)]
        text = "\n\n".join(f"# {number}\n\n{section}" for number, section in enumerate(sections))
        await rig.put(f"{text}\n", path=f"{'docs' if n % 2 else 'src'}/{n}.md")
        if n == 30:
            await rig.index()
            await embedding.embed()
            await mirror_all(worker)
    await rig.index()
    await embedding.embed()
    for _ in range(2):
        for filters in (Filters(), Filters(path="docs/")):
            scores = {}
            searchers = {
                "engine": rig.searching(queries=embedding.queries, depth=20),
                "postgres": Searcher(PostgresIndex(rig.db), queries=embedding.queries, depth=20),
            }
            for name, rig.searcher in searchers.items():
                found = await rig.search("relay lease vault", filters=filters, limit=15)
                scores[name] = {row["pk"]: one.score for row, one in zip(found.rows, found.ranked, strict=True)}
            assert scores["engine"] == pytest.approx(scores["postgres"], abs=2e-3)
        await mirror_all(worker)


async def test_of_equal_vectors_both_name_the_older_chunks(rig: Rig, worker: MirrorWorker) -> None:
    """A page ends between equals: whoever names others than the first of them loses the first to the next page."""
    embedding = Embedding(rig, Double())
    await embedding.worker.step()
    for n in range(40):
        await rig.put("relay\n", path=f"{n}.md", source_id=f"s{n}")
        if n % 10 == 0:
            await rig.index()
            await embedding.embed()
            await mirror_all(worker)
    await rig.index()
    await embedding.embed()
    await mirror_all(worker)
    for n in range(5):  # the engine writes a document anew behind all others
        await rig.put("relay\n", path=f"moved/{n}.md", source_id=f"s{n}", version=2)
        await rig.index()
        await mirror_all(worker)
    query = await embedding.vector_of("relay")
    named = []
    for index in (rig.index_of_all, PostgresIndex(rig.db)):
        async with index.reading("w1") as reading:
            named.append([list(await reading.nearest(query, depth, None)) for depth in (3, 7, 20, 39)])
    assert named[0] == named[1]


async def test_engine_finds_the_chunks_whose_sections_lie_nearest(rig: Rig, worker: MirrorWorker, figure: Tell) -> None:
    """Vectors without any order are the hardest to walk; each chunk has one to twelve."""
    chance = np.random.default_rng(5)
    generation = Generation(id=30_000, name="synthetic", dimension=32, state="active")
    points = {pk: _points(chance, int(chance.integers(1, 13))) for pk in range(1, 401)}
    living = await mirroring.living_mirror(rig.db)
    assert living is not None
    await worker.engine.take_vectors(living.id, {generation.id: generation.dimension})
    for pks in batched(points, 50):
        told = Told(workspace="w9", documents=[_document(pk, generation, points[pk]) for pk in pks], gone=(), version=1)
        await worker.engine.tell(living.id, told)
    found = asked = 0
    for depth in (3, 10, 33, 150):
        for towards in _points(chance, 10):
            query = QueryVector(generation=generation, vector=halfvecs(towards[None])[0])
            near = await worker.engine.nearest(living.id, Scope("w9"), query, depth)
            exact = sorted(points, key=lambda pk: -float((points[pk] @ towards).max()))[:depth]
            assert len(near) == depth
            found, asked = found + len(near.keys() & set(exact)), asked + depth
    figure("engine_vector_recall", found / asked, "of_exact", 0.99)
    assert found / asked >= 0.99


def _points(chance: np.random.Generator, count: int) -> Any:
    made = chance.normal(size=(count, 32))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _document(pk: int, generation: Generation, points: Any) -> Document:
    vectors = {generation.id: list(halfvecs(points))}
    return Document(pk=pk, source_id=f"s{pk}", labels={}, words=1, lexemes="relay", vectors=vectors)


def batched(points: Mapping[int, Any], size: int) -> Iterator[list[int]]:
    pks = list(points)
    return (pks[at : at + size] for at in range(0, len(pks), size))
