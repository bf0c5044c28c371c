"""What is searchable of a source: swapped whole, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.database.transaction import Row, Transaction
from services.chunker.chunking import Chunk
from services.chunker.domain.indexing import Cut
from services.chunker.repository import embedding_queue, lexemes, mirror
from services.chunker.repository.summaries import sources

SAVE_SOURCE = """
INSERT INTO indexed_source AS s (id, workspace_id, integration_id, resource_id, resource_name, provider, type, name,
  path, url, author, updated_at, version, content_hash, chunks, passages, words, skipped)
VALUES (:id, :workspace_id, :integration_id, :resource_id, :resource_name, :provider, :type, :name, :path, :url,
  :author, :updated_at, :version, :content_hash, :chunks, :passages, 0, :skipped)
ON CONFLICT (id) DO UPDATE SET resource_id = excluded.resource_id, resource_name = excluded.resource_name,
  type = excluded.type, name = excluded.name, path = excluded.path, url = excluded.url, author = excluded.author,
  updated_at = excluded.updated_at, version = excluded.version, content_hash = excluded.content_hash,
  chunks = excluded.chunks, passages = excluded.passages, skipped = excluded.skipped, indexed_at = now()
WHERE s.version <= excluded.version
"""

# A chunk whose id stays keeps its words only if what was indexed of it (context and what is read of it) is the same.
KEPT = "SELECT id, pk, context, text, readable, passages FROM chunk WHERE source_id = :source_id"
DROP_POSTINGS = "DELETE FROM posting WHERE chunk_pk = ANY(CAST(:pks AS bigint[]))"
DROP_CHUNKS = "DELETE FROM chunk WHERE pk = ANY(CAST(:pks AS bigint[]))"
MOVE_CHUNK = """
UPDATE chunk SET ordinal = :ordinal, anchor = :anchor, heading_path = CAST(:heading_path AS text[]),
  start_byte = :start_byte, end_byte = :end_byte
WHERE pk = :pk
"""
# Around the same words of a notebook: how often its cells were run.
REWRITE_CHUNK = "UPDATE chunk SET text = :text, tokens = :tokens WHERE pk = :pk"
INSERT_CHUNKS = """
INSERT INTO chunk (workspace_id, source_id, id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, words,
  context, text, readable, passages)
VALUES (:workspace_id, :source_id, :id, :ordinal, :anchor, CAST(:heading_path AS text[]), :start_byte, :end_byte,
  :tokens, 0, :context, :text, :readable, CAST(:passages AS text[]))
"""
INSERT_POSTINGS = """
WITH words AS (
  SELECT c.pk, t.lexeme, least(cardinality(t.positions), 32767) AS frequency
  FROM unnest(CAST(:ids AS text[]), CAST(:texts AS text[])) AS given(id, indexed)
  JOIN chunk c ON c.source_id = :source_id AND c.id = given.id
  CROSS JOIN LATERAL unnest(to_tsvector('english', given.indexed)) AS t(lexeme, positions, weights)
), lengths AS (
  SELECT pk, sum(frequency) AS words FROM words GROUP BY pk
), counted AS (
  UPDATE chunk c SET words = l.words FROM lengths l WHERE c.pk = l.pk
)
INSERT INTO posting (workspace_id, lexeme, chunk_pk, frequency, words)
SELECT :workspace_id, w.lexeme, w.pk, w.frequency, l.words FROM words w JOIN lengths l USING (pk)
"""
COUNT_WORDS = """
UPDATE indexed_source SET words = (SELECT coalesce(sum(words), 0) FROM chunk WHERE source_id = :source_id)
WHERE id = :source_id
"""

CHUNKS = """
SELECT id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, text FROM chunk
WHERE source_id = :source_id AND ordinal > :after ORDER BY ordinal LIMIT :limit
"""
SOURCE = "SELECT id, version, chunks, words, skipped, indexed_at FROM indexed_source WHERE id = :source_id"
WANTED = """
SELECT version, remove, wanted_at, due_at, attempts, epoch, now() AS now FROM index_wanted WHERE source_id = :source_id
"""

SOURCE_FIELDS = (
    "id",
    "integration_id",
    "resource_id",
    "resource_name",
    "provider",
    "type",
    "name",
    "path",
    "url",
    "author",
    "updated_at",
    "version",
    "content_hash",
)
PLACE = ("ordinal", "anchor", "heading_path", "start_byte", "end_byte")


async def swap(tx: Transaction, workspace: str, cut: Cut, *, better_summaries: bool = False) -> bool:
    """Replaces a source whole. False when a newer version is already there."""
    item = cut.item
    saved = await tx.execute(
        SAVE_SOURCE,
        workspace_id=workspace,
        chunks=len(cut.chunks),
        passages=sum(len(some) or 1 for some in cut.passages),
        skipped=cut.skipped,
        **{name: getattr(item, name) for name in SOURCE_FIELDS},
    )
    if saved:
        await mirror.want(tx, workspace, [cut.item.id])
        fresh = await _swap_chunks(tx, workspace, cut)
        await sources.swap(tx, item, workspace, cut.summaries, better=better_summaries)
        # Last: whoever has a word that is new to the workspace as well waits until this transaction ends.
        await lexemes.remember(tx, workspace, item.id, fresh)
    return bool(saved)


async def remove(tx: Transaction, workspace: str, source_id: str) -> bool:
    """False when it is not there: it never was, or has left before."""
    if not await tx.fetch_value("SELECT true FROM indexed_source WHERE id = :source_id", source_id=source_id):
        return False
    await embedding_queue.forget(tx, source_id)
    await mirror.want(tx, workspace, [source_id])
    rows = await tx.fetch_all(KEPT, source_id=source_id)
    await _drop(tx, [row["pk"] for row in rows])
    await sources.drop(tx, workspace, source_id)
    await tx.execute("DELETE FROM indexed_source WHERE id = :source_id", source_id=source_id)
    return True


async def source(tx: Transaction, source_id: str) -> Row | None:
    return await tx.fetch_one(SOURCE, source_id=source_id)


async def wanted(tx: Transaction, source_id: str) -> Row | None:
    """With the database's time: whether it is due is seen by that alone."""
    return await tx.fetch_one(WANTED, source_id=source_id)


async def chunks(tx: Transaction, source_id: str, after: int, limit: int) -> Sequence[Row]:
    return await tx.fetch_all(CHUNKS, source_id=source_id, after=after, limit=limit)


async def _swap_chunks(tx: Transaction, workspace: str, cut: Cut) -> list[str]:
    """An edited paragraph touches its own words only: the other chunks merely move. Answers whose words are new."""
    source_id = cut.item.id
    old = {row["id"]: row for row in await tx.fetch_all(KEPT, source_id=source_id)}
    pairs = list(zip(cut.chunks, cut.passages, strict=True))
    kept = {c.id for c, passages in pairs if c.id in old and _same(old[c.id], c, passages)}
    if len(kept) < len(cut.chunks):
        await embedding_queue.want(tx, workspace, source_id)
    await _drop(tx, [row["pk"] for chunk_id, row in old.items() if chunk_id not in kept])
    rows = {chunk.id: _chunk_row(workspace, source_id, chunk, passages) for chunk, passages in pairs}
    moved = [{"pk": old[id]["pk"], **_place(row)} for id, row in rows.items() if id in kept]
    await tx.execute_many(MOVE_CHUNK, moved)
    rewritten = [
        {"pk": old[id]["pk"], **row} for id, row in rows.items() if id in kept and row["text"] != old[id]["text"]
    ]
    await tx.execute_many(REWRITE_CHUNK, rewritten)
    await tx.execute_many(INSERT_CHUNKS, [row for id, row in rows.items() if id not in kept])
    texts = {c.id: text for c, text in zip(cut.chunks, cut.indexed_texts, strict=True) if c.id not in kept}
    await tx.execute(
        INSERT_POSTINGS, workspace_id=workspace, source_id=source_id, ids=list(texts), texts=list(texts.values())
    )
    await tx.execute(COUNT_WORDS, source_id=source_id)
    return list(texts)


async def _drop(tx: Transaction, pks: Sequence[int]) -> None:
    if pks:
        await tx.execute(DROP_POSTINGS, pks=list(pks))
        await tx.execute(DROP_CHUNKS, pks=list(pks))


def _same(row: Row, chunk: Chunk, passages: tuple[str, ...]) -> bool:
    there = row["context"], row["readable"], tuple(row["passages"] or ())
    return there == (chunk.context, chunk.words, passages) and (chunk.words is not None or row["text"] == chunk.text)


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in PLACE}


def _chunk_row(workspace: str, source_id: str, chunk: Chunk, passages: Sequence[str]) -> dict[str, Any]:
    names = ("id", "ordinal", "anchor", "start_byte", "end_byte", "tokens", "context", "text")
    row = {name: getattr(chunk, name) for name in names}
    own = {"heading_path": list(chunk.heading_path), "readable": chunk.words, "passages": list(passages) or None}
    return {**row, **own, "workspace_id": workspace, "source_id": source_id}
