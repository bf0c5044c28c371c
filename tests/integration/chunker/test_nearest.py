"""Which vectors are nearest: all of a small workspace are read, a large one goes through the graph; both find them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import asyncpg
import numpy as np
import pytest

from libs.local.postgres import Postgres
from services.chunker.domain import embedding as rules
from services.chunker.domain.embedding import Generation, Passage
from services.chunker.domain.searching import Filters
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.repository import vectors
from services.chunker.repository.filters import narrowing
from services.chunker.use_cases import embedding as verbs
from tests.integration.chunker.conftest import Rig
from tests.support.figures import Tell
from tests.support.vectors import load_chunks

DIMENSION = 64
SIZES = {"large": 4_000, "hundredth": 40, "thousandth": 4}
DEPTH = 20
QUERIES = 40


class Corpus:
    """Workspaces of clustered vectors; `exact` is the truth, in numpy."""

    def __init__(self, chance: np.random.Generator) -> None:
        centres = chance.normal(size=(60, DIMENSION))

        def points(count: int) -> Any:
            made = centres[chance.integers(0, 60, count)] + 0.5 * chance.normal(size=(count, DIMENSION))
            return made / np.linalg.norm(made, axis=1, keepdims=True)

        self.points = {workspace: points(count) for workspace, count in SIZES.items()}
        self.queries = points(QUERIES)

    def exact(self, query: Any, workspace: str) -> set[int]:
        return set(np.argsort(-(self.points[workspace] @ query))[:DEPTH].tolist())


@pytest.fixture
async def generation(rig: Rig) -> Generation:
    await verbs.begin_generation(rig.db, "synthetic", DIMENSION)
    (made,) = await verbs.living_generations(rig.db)
    return made


@pytest.fixture
async def corpus(migrated: Postgres, generation: Generation) -> tuple[Corpus, dict[int, int]]:
    """With the place of each chunk's vector in its workspace, by the chunk's key."""
    made = Corpus(np.random.default_rng(6))
    places: dict[int, int] = {}
    settings = {"search_path": "chunker,public"}
    admin = await asyncpg.connect(migrated.dsn("postgres"), server_settings=settings)
    for workspace, points in made.points.items():
        pks = await load_chunks(admin, workspace, generation.id, halfvecs(points))
        places |= {pk: place for place, pk in enumerate(pks)}
    await admin.execute("ANALYZE chunk_vector")
    await admin.close()
    return made, places


async def test_nearest_of_a_large_workspace_and_of_a_thousandth_are_found(
    rig: Rig,
    generation: Generation,
    corpus: tuple[Corpus, dict[int, int]],
    figure: Tell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few thousand play a hundred thousand: beyond 500 vectors the graph is walked."""
    monkeypatch.setattr(rules, "EXACT_UP_TO", 500)
    walked: Counter[str] = Counter()
    walk = vectors._walk

    async def counting(tx: Any, sql: str, visits: int, asked: Any) -> Any:
        walked[tx.workspace] += 1
        await tx.execute(vectors.WALK, ef="100", visits="20000")
        plan = "\n".join(row[0] for row in await tx.fetch_all(f"EXPLAIN {sql}", **asked))
        assert f"Index Scan using chunk_vector_nearest_{generation.id}" in plan, plan
        return await walk(tx, sql, visits, asked)

    monkeypatch.setattr(vectors, "_walk", counting)
    for workspace in SIZES:
        share = await recall(rig, generation, corpus, workspace)
        figure(f"vector_recall_{workspace}", share, "of_exact", 0.95)
        assert share >= 0.95
    assert walked == {"large": QUERIES}


async def test_of_equal_vectors_the_graph_names_the_older_chunks(
    rig: Rig, migrated: Postgres, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "EXACT_UP_TO", 10)
    points = np.repeat(np.eye(DIMENSION)[:3], 200, axis=0)
    settings = {"search_path": "chunker,public"}
    admin = await asyncpg.connect(migrated.dsn("postgres"), server_settings=settings)
    pks = await load_chunks(admin, "w1", generation.id, halfvecs(points)[::-1])
    await admin.execute("ANALYZE chunk_vector")
    await admin.close()
    for depth in (3, 50, 199, 250):
        async with rig.db.transaction("w1") as tx:
            near = await vectors.nearest(tx, generation, halfvecs(points[500])[0], depth)
        assert [one.pk for one in near[:200]] == pks[:depth][:200]
        assert len(near) == depth


@pytest.mark.parametrize("exact_up_to", [10, 10_000], ids=["graph", "exact"])
async def test_as_many_chunks_as_are_asked_for_are_found_each_once(
    rig: Rig, migrated: Postgres, generation: Generation, monkeypatch: pytest.MonkeyPatch, exact_up_to: int
) -> None:
    """Eight sections a chunk: those of one chunk lie together, so the nearest vectors are of a few chunks."""
    monkeypatch.setattr(rules, "EXACT_UP_TO", exact_up_to)
    chance = np.random.default_rng(8)
    centres = chance.normal(size=(60, 1, DIMENSION))
    sections = centres + 0.3 * chance.normal(size=(60, 8, DIMENSION))
    sections /= np.linalg.norm(sections, axis=2, keepdims=True)
    settings = {"search_path": "chunker,public"}
    admin = await asyncpg.connect(migrated.dsn("postgres"), server_settings=settings)
    pks = await load_chunks(admin, "w1", generation.id, halfvecs(sections[:, 0]))
    async with rig.db.transaction("w1") as tx:
        passages = [Passage(source_id="", pk=pk, part=part, text=f"{pk} {part}") for pk in pks for part in range(1, 8)]
        given = halfvecs(sections[:, 1:].reshape(-1, DIMENSION))
        await vectors.save(tx, generation.id, ["w1-0"], dict(zip(passages, given, strict=True)))
    await admin.execute("UPDATE indexed_source SET passages = 8 * chunks; ANALYZE chunk_vector")
    await admin.close()
    for depth in (1, 10, 60, 80):
        async with rig.db.transaction("w1") as tx:
            near = await vectors.nearest(tx, generation, halfvecs(sections[7, 3])[0], depth)
        similarities = (sections @ sections[7, 3]).max(axis=1)
        nearest = np.argsort(-similarities)[:depth]
        assert [one.pk for one in near] == [pks[place] for place in nearest]
        assert [one.similarity for one in near] == pytest.approx(similarities[nearest], abs=1e-2)


async def recall(rig: Rig, generation: Generation, corpus: tuple[Corpus, dict[int, int]], workspace: str) -> float:
    truth, places = corpus
    found = wanted = 0
    for query in truth.queries:
        async with rig.db.transaction(workspace) as tx:
            near = await vectors.nearest(tx, generation, halfvecs(query)[0], DEPTH)
        exact = truth.exact(query, workspace)
        assert len(near) == len(exact)
        assert near == sorted(near, key=lambda one: -one.similarity)
        found += len({places[one.pk] for one in near} & exact)
        wanted += len(exact)
    return found / wanted


async def test_nearest_is_narrowed_by_what_is_known_of_the_source(rig: Rig, generation: Generation) -> None:
    await rig.put("# A\n\nBananas are yellow.\n", path="docs/a.md")
    await rig.put("# B\n\nBananas are green.\n", path="docs/b.md")
    await rig.index()
    async with rig.db.transaction("w1") as tx:
        rows = await tx.fetch_all("SELECT pk FROM chunk ORDER BY pk")
        query = halfvecs(np.ones(DIMENSION))[0]
        sources = [row["source_id"] for row in await tx.fetch_all("SELECT DISTINCT source_id FROM chunk")]
        passages = [Passage(source_id="", pk=row["pk"], text="") for row in rows]
        await vectors.save(tx, generation.id, sources, dict.fromkeys(passages, query))
        near = await vectors.nearest(tx, generation, query, 10, narrow=narrowing(Filters(path="docs/b")))
    assert len(near) == 1
    assert near[0].similarity == pytest.approx(1.0, abs=1e-2)
