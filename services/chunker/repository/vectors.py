"""Vectors of chunks: which chunks lack one, and which lie nearest to a query's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import WeakSet

import msgspec

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.embedding import Generation, Passage, Vector, kept, passage_text, reads_all, visited
from services.chunker.repository.filters import Narrowing

# Sources take turns, so that a large one fills no batch alone. A chunk's vectors are saved together: one tells of all.
LACKING = """
SELECT source_id, pk, context, text, passages FROM (
  SELECT c.source_id, c.pk, c.context, coalesce(c.readable, c.text) AS text, c.passages,
    row_number() OVER (PARTITION BY c.source_id ORDER BY c.ordinal) AS turn
  FROM chunk c WHERE c.source_id = ANY(CAST(:sources AS text[]))
  AND NOT EXISTS (SELECT FROM chunk_vector v WHERE v.chunk_pk = c.pk AND v.generation = :generation)
) lacking ORDER BY turn, source_id LIMIT :limit
"""
# Of this workspace alone, though another's would be the same numbers: how soon a text has its vector, and what an
# endpoint charges for it, would tell that somebody else holds it. What is foreign is as if it were not there.
MADE = """
SELECT DISTINCT ON (v.text_hash) v.text_hash, v.embedding FROM chunk_vector v
WHERE v.workspace_id = :workspace AND v.generation = :generation AND v.embedding IS NOT NULL
  AND v.text_hash = ANY(CAST(:hashes AS bytea[]))
"""
# A chunk that left meanwhile has no row to hang a vector on.
SAVE = """
INSERT INTO chunk_vector (workspace_id, source_id, chunk_pk, part, generation, embedding, text_hash)
SELECT c.workspace_id, c.source_id, c.pk, given.part, :generation, given.embedding, given.text_hash
FROM unnest(
  CAST(:pks AS bigint[]), CAST(:parts AS smallint[]), CAST(:embeddings AS halfvec[]), CAST(:hashes AS bytea[])
) AS given(pk, part, embedding, text_hash)
JOIN chunk c ON c.pk = given.pk AND c.source_id = ANY(CAST(:sources AS text[]))
ORDER BY c.pk, given.part
ON CONFLICT DO NOTHING
"""

WITHOUT = """
SELECT given.pk FROM unnest(CAST(:pks AS bigint[])) AS given(pk)
WHERE NOT EXISTS (
  SELECT FROM chunk_vector v
  WHERE v.chunk_pk = given.pk AND v.generation = :generation AND v.embedding IS NOT NULL)
"""

# The graph's statistics and not a count: how many vectors of others a walk meets is all that is asked.
SIZES = """
SELECT w.workspace, w.chunks,
  (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = to_regclass(:index)) AS everywhere
FROM (
  SELECT coalesce(sum(passages), 0) AS workspace, coalesce(sum(chunks), 0) AS chunks
  FROM indexed_source WHERE workspace_id = :workspace
) w
"""
# Without the cast no index is of this expression: each vector of the workspace is read.
EXACT = """
SELECT v.chunk_pk AS pk, -(v.embedding <#> CAST(:query AS halfvec)) AS similarity
FROM chunk_vector v
WHERE v.workspace_id = :workspace AND v.generation = {generation} AND v.embedding IS NOT NULL AND {where}
ORDER BY v.embedding <#> CAST(:query AS halfvec), v.chunk_pk LIMIT :wanted
"""
# The workspace is filtered by row-level security alone, inside the scan: no other index offers itself. Of equal vectors
# the graph gives whichever it meets first: all that are like the last one are read, so that the older ones are named.
GRAPH = """
SELECT v.chunk_pk AS pk, -(CAST(v.embedding AS halfvec({dimension})) <#> CAST(:query AS halfvec({dimension})))
  AS similarity
FROM chunk_vector v
WHERE v.generation = {generation} AND {where}
ORDER BY CAST(v.embedding AS halfvec({dimension})) <#> CAST(:query AS halfvec({dimension}))
FETCH FIRST (:wanted) ROWS WITH TIES
"""
WALK = """
SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', :ef, true),
  set_config('hnsw.max_scan_tuples', :visits, true), set_config('enable_seqscan', 'off', true),
  set_config('enable_sort', 'off', true)
"""
WALKED = "SELECT set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true)"
MOST_EF = 1000

OF_SOURCES = """
SELECT v.chunk_pk, v.generation, v.embedding FROM chunk_vector v JOIN embedding_generation g ON g.id = v.generation
WHERE v.source_id = ANY(CAST(:sources AS text[])) AND g.state <> 'retired' AND v.embedding IS NOT NULL
ORDER BY v.chunk_pk, v.generation, v.part
"""

SHARE = """
SELECT g.name, g.state, count(DISTINCT v.chunk_pk) AS vectors,
  count(DISTINCT v.chunk_pk) FILTER (WHERE v.embedding IS NULL) AS refused
FROM embedding_generation g LEFT JOIN chunk_vector v ON v.generation = g.id AND v.source_id = :source_id
WHERE g.state <> 'retired' GROUP BY g.id, g.name, g.state ORDER BY g.state, g.id
"""

_speaking: WeakSet[Any] = WeakSet()


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """`similarity` is the cosine, 1 for the same direction."""

    pk: int
    similarity: float


async def of_sources(tx: Transaction, sources: Sequence[str]) -> Sequence[Row]:
    """`chunk_pk`, `generation` and `embedding` of each vector that a query may be compared with, in order."""
    await _speak_halfvec(tx)
    return await tx.fetch_all(OF_SOURCES, sources=list(sources))


async def lacking(tx: Transaction, generation: int, sources: Sequence[str], limit: int) -> list[Passage]:
    """All passages of at most `limit` chunks."""
    rows = await tx.fetch_all(LACKING, generation=generation, sources=list(sources), limit=limit)
    return [
        Passage(source_id=row["source_id"], pk=row["pk"], part=part, text=text)
        for row in rows
        for part, text in enumerate(row["passages"] or [passage_text(row["context"], row["text"])])
    ]


async def without(tx: Transaction, generation: int, pks: Collection[int]) -> frozenset[int]:
    """Those of these chunks that have no vector, yet or at all."""
    return frozenset(row["pk"] for row in await tx.fetch_all(WITHOUT, generation=generation, pks=list(pks)))


async def made(tx: Transaction, generation: int, hashes: Collection[bytes]) -> dict[bytes, bytes]:
    """Vectors that texts of this workspace have already, by the hash of what was embedded."""
    await _speak_halfvec(tx)
    rows = await tx.fetch_all(MADE, workspace=tx.workspace, generation=generation, hashes=list(hashes))
    return {row["text_hash"]: row["embedding"] for row in rows}


async def save(tx: Transaction, generation: int, sources: Sequence[str], embedded: Mapping[Passage, Vector]) -> int:
    """All passages of each chunk at once. Answers how many vectors were written."""
    await _speak_halfvec(tx)
    given = {
        "pks": [one.pk for one in embedded],
        "parts": [one.part for one in embedded],
        "embeddings": list(embedded.values()),
        "hashes": [one.text_hash for one in embedded],
    }
    return await tx.execute(SAVE, generation=generation, sources=list(sources), **given)


async def nearest(
    tx: Transaction,
    generation: Generation,
    query: bytes,
    depth: int,
    *,
    narrow: Narrowing | None = None,
) -> list[Near]:
    """The nearest chunks of this workspace, best first, of equal ones the older. `query` is a halfvec's bytes."""
    await _speak_halfvec(tx)
    index = f"chunk_vector_nearest_{generation.id}"
    sizes = await tx.fetch_one(SIZES, workspace=tx.workspace, index=index)
    assert sizes is not None  # noqa: S101 - an aggregate always answers
    workspace, everywhere = int(sizes["workspace"]), int(sizes["everywhere"] or 0)
    where = f"v.chunk_pk IN ({narrow.sql})" if narrow else "true"
    parts = {"generation": generation.id, "dimension": generation.dimension, "where": where}
    asked = {"query": query, **(narrow.values if narrow else {})}

    async def read(wanted: int) -> Sequence[Any]:
        if narrow or reads_all(depth, workspace, everywhere):
            return await tx.fetch_all(EXACT.format(**parts), workspace=tx.workspace, wanted=wanted, **asked)
        visits = visited(wanted, workspace, everywhere)
        return await _walk(tx, GRAPH.format(**parts), visits, {**asked, "wanted": wanted})

    return await _chunks(read, depth, depth * -(-workspace // max(1, int(sizes["chunks"]))))


async def _chunks(read: Callable[[int], Awaitable[Sequence[Any]]], depth: int, wanted: int) -> list[Near]:
    """A chunk is as near as the nearest of its vectors: more are read until there are enough chunks, or no more."""
    while True:
        rows = await read(wanted)
        best: dict[int, float] = {}
        for row in rows:
            best[row["pk"]] = max(row["similarity"], best.get(row["pk"], -1.0))
        if len(best) >= depth or len(rows) < wanted:
            ordered = sorted(best.items(), key=lambda one: (-one[1], one[0]))
            return [Near(pk=pk, similarity=similarity) for pk, similarity in ordered[:depth]]
        wanted *= 2


async def _walk(tx: Transaction, sql: str, visits: int, asked: Mapping[str, Any]) -> Sequence[Any]:
    ef = str(kept(int(asked["wanted"]), MOST_EF))
    await tx.execute(WALK, ef=ef, visits=str(max(20_000, visits)))
    rows = await tx.fetch_all(sql, **asked)
    await tx.execute(WALKED)
    return rows


async def share(tx: Transaction, source_id: str) -> Sequence[Row]:
    """How many of a source's chunks have a vector, or were refused one, of each generation that lives."""
    return await tx.fetch_all(SHARE, source_id=source_id)


async def _speak_halfvec(tx: Transaction) -> None:
    """Once a connection: vectors are passed as the bytes that they are."""
    driver = await tx.driver()
    if driver not in _speaking:
        await driver.set_type_codec("halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary")
        _speaking.add(driver)
