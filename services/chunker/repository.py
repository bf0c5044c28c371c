"""Every SQL statement that the chunker runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.database.transaction import Row, Transaction
from libs.common.events import SourceChanged
from services.chunker.domain import K1, B, Cut, Filters, Position, Summary, Wanted
from services.chunker.tables import EVERY_TABLE

# What is indexed already is old news: a broker that lost its memory is told everything of a week again.
WANT = """
INSERT INTO index_wanted AS w (source_id, workspace_id, integration_id, provider, version, remove, traceparent)
SELECT CAST(:source_id AS text), CAST(:workspace_id AS text), CAST(:integration_id AS text), CAST(:provider AS text),
  CAST(:version AS bigint), CAST(:remove AS boolean), CAST(:traceparent AS text)
WHERE EXISTS (SELECT FROM known_workspace k WHERE k.workspace_id = :workspace_id)
  AND NOT EXISTS (SELECT FROM indexed_source i WHERE i.id = :source_id AND i.version >= :version)
ON CONFLICT (source_id) DO UPDATE SET version = excluded.version, remove = excluded.remove, due_at = now(),
  attempts = 0, traceparent = excluded.traceparent
WHERE w.version < excluded.version
"""

WANT_INTEGRATION_REMOVED = """
INSERT INTO index_wanted AS w (source_id, workspace_id, integration_id, provider, version, remove, traceparent)
SELECT id, workspace_id, integration_id, provider, version + 1, true, CAST(:traceparent AS text)
FROM indexed_source WHERE integration_id = :integration_id
ON CONFLICT (source_id) DO UPDATE SET version = w.version + 1, remove = true, due_at = now(), attempts = 0
"""

# Deletes first, then oldest first, the same share for every workspace: a large backfill cannot starve a small one.
CLAIM = """
WITH RECURSIVE workspaces AS (
  (SELECT workspace_id FROM index_wanted ORDER BY workspace_id LIMIT 1)
  UNION ALL
  SELECT (SELECT w.workspace_id FROM index_wanted w WHERE w.workspace_id > s.workspace_id
          ORDER BY w.workspace_id LIMIT 1)
  FROM workspaces s WHERE s.workspace_id IS NOT NULL
), candidates AS (
  SELECT c.source_id, row_number() OVER (PARTITION BY s.workspace_id ORDER BY c.remove DESC, c.due_at) AS turn
  FROM workspaces s CROSS JOIN LATERAL (
    SELECT source_id, remove, due_at FROM index_wanted w
    WHERE w.workspace_id = s.workspace_id AND w.due_at <= now()
    ORDER BY w.remove DESC, w.due_at LIMIT :limit
  ) c
), chosen AS (
  SELECT w.source_id FROM index_wanted w JOIN candidates c USING (source_id)
  WHERE w.due_at <= now() ORDER BY c.turn LIMIT :limit FOR UPDATE OF w SKIP LOCKED
)
UPDATE index_wanted w SET epoch = w.epoch + 1, due_at = now() + make_interval(secs => :lease_s)
FROM chosen WHERE w.source_id = chosen.source_id
RETURNING w.source_id, w.workspace_id, w.integration_id, w.provider, w.version, w.remove, w.attempts, w.epoch,
  w.traceparent
"""

DONE = "DELETE FROM index_wanted WHERE source_id = :source_id AND epoch = :epoch AND version <= :version"
HOLDS = "SELECT source_id FROM index_wanted WHERE source_id = :source_id AND epoch = :epoch FOR UPDATE"
RELEASE = "UPDATE index_wanted SET due_at = now() WHERE source_id = :source_id AND epoch = :epoch"
POSTPONE = """
UPDATE index_wanted SET due_at = now() + make_interval(secs => :seconds), attempts = attempts + 1
WHERE source_id = :source_id AND epoch = :epoch
"""

SAVE_SOURCE = """
INSERT INTO indexed_source AS s (id, workspace_id, integration_id, resource_id, resource_name, provider, type, name,
  path, url, author, updated_at, version, content_hash, chunks, words, skipped)
VALUES (:id, :workspace_id, :integration_id, :resource_id, :resource_name, :provider, :type, :name, :path, :url,
  :author, :updated_at, :version, :content_hash, :chunks, 0, :skipped)
ON CONFLICT (id) DO UPDATE SET resource_id = excluded.resource_id, resource_name = excluded.resource_name,
  type = excluded.type, name = excluded.name, path = excluded.path, url = excluded.url, author = excluded.author,
  updated_at = excluded.updated_at, version = excluded.version, content_hash = excluded.content_hash,
  chunks = excluded.chunks, skipped = excluded.skipped, indexed_at = now()
WHERE s.version <= excluded.version
"""

# A chunk whose id stays keeps its words only if what was indexed of it (context and text) is the same.
KEPT = "SELECT id, pk, context, text FROM chunk WHERE source_id = :source_id"
DROP_POSTINGS = "DELETE FROM posting WHERE chunk_pk = ANY(CAST(:pks AS bigint[]))"
DROP_CHUNKS = "DELETE FROM chunk WHERE pk = ANY(CAST(:pks AS bigint[]))"
MOVE_CHUNK = """
UPDATE chunk SET ordinal = :ordinal, anchor = :anchor, heading_path = CAST(:heading_path AS text[]),
  start_byte = :start_byte, end_byte = :end_byte
WHERE pk = :pk
"""
INSERT_CHUNKS = """
INSERT INTO chunk (workspace_id, source_id, id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, words,
  context, text)
VALUES (:workspace_id, :source_id, :id, :ordinal, :anchor, CAST(:heading_path AS text[]), :start_byte, :end_byte,
  :tokens, 0, :context, :text)
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
DROP_SUMMARIES = "DELETE FROM summary WHERE source_id = :source_id"
INSERT_SUMMARIES = """
INSERT INTO summary (workspace_id, source_id, anchor, heading, ordinal, text, chunk_ids)
VALUES (:workspace_id, :source_id, :anchor, :heading, :ordinal, :text, CAST(:chunk_ids AS text[]))
"""

# BM25 over the postings of the query's words; every row it reads is of this workspace (row-level security).
# The words are an array, not a join: whatever the statistics say, they are looked up in the index.
SEARCH = """
WITH corpus AS (
  SELECT greatest(sum(chunks), 1) AS chunks, greatest(sum(words), 1) / greatest(sum(chunks), 1) AS mean
  FROM indexed_source
), weighed AS (
  SELECT p.lexeme, ln(1 + (max(c.chunks) - count(*) + 0.5) / (count(*) + 0.5)) AS idf
  FROM posting p CROSS JOIN corpus c WHERE p.lexeme = ANY(CAST(:lexemes AS text[])) GROUP BY p.lexeme
), scored AS (
  SELECT p.chunk_pk AS pk, CAST(sum(w.idf * p.frequency * ({k1} + 1)
    / (p.frequency + {k1} * (1 - {b} + {b} * p.words / c.mean))) AS double precision) AS score
  FROM posting p JOIN weighed w USING (lexeme) CROSS JOIN corpus c
  WHERE p.lexeme = ANY(CAST(:lexemes AS text[])) GROUP BY p.chunk_pk
)
SELECT f.score, f.pk, k.id, k.text, k.anchor, k.heading_path, k.start_byte, k.end_byte,
  s.id AS source_id, s.type, s.name, s.url, s.path, s.provider, s.integration_id, s.resource_id, s.resource_name,
  s.version
FROM scored f JOIN chunk k ON k.pk = f.pk JOIN indexed_source s ON s.id = k.source_id
WHERE {filters}
ORDER BY f.score DESC, f.pk LIMIT :limit
"""
LEXEMES = "SELECT lexeme FROM unnest(to_tsvector('english', :query))"

CHUNKS = """
SELECT id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, text FROM chunk
WHERE source_id = :source_id AND ordinal > :after ORDER BY ordinal LIMIT :limit
"""
SOURCE = "SELECT id, version, chunks, words, skipped, indexed_at FROM indexed_source WHERE id = :source_id"
WANTED = """
SELECT version, remove, wanted_at, due_at, attempts, epoch, now() AS now FROM index_wanted WHERE source_id = :source_id
"""
SUMMARIES = """
SELECT ordinal, anchor, heading, text, method, chunk_ids FROM summary
WHERE source_id = :source_id ORDER BY ordinal
"""
REMEMBER_WORKSPACE = """
INSERT INTO known_workspace (workspace_id)
SELECT :workspace_id WHERE NOT EXISTS (SELECT 1 FROM erased_workspace WHERE workspace_id = :workspace_id)
ON CONFLICT DO NOTHING
"""
KNOWS_WORKSPACE = "SELECT true FROM known_workspace WHERE workspace_id = :workspace_id"
MARK_ERASED = "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace_id) ON CONFLICT DO NOTHING"
ERASABLE = (*EVERY_TABLE, "job", "data_key", "dead_letter")


class IndexQueue:
    """What must be indexed, claimed across workspaces by lease."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def want(self, event: SourceChanged, traceparent: str | None) -> bool:
        row = {
            "source_id": event.source_id,
            "workspace_id": event.workspace_id,
            "integration_id": event.integration_id,
            "provider": event.provider,
            "version": event.version,
            "remove": event.change == "deleted",
            "traceparent": traceparent,
        }
        return await self._tx.execute(WANT, **row) > 0

    async def want_integration_removed(self, integration_id: str, traceparent: str | None) -> int:
        parameters = {"integration_id": integration_id, "traceparent": traceparent}
        return await self._tx.execute(WANT_INTEGRATION_REMOVED, **parameters)

    async def claim(self, limit: int, lease_s: float) -> list[Wanted]:
        rows = await self._tx.fetch_all(CLAIM, limit=limit, lease_s=lease_s)
        return [Wanted(**row) for row in rows]

    async def holds(self, wanted: Wanted) -> bool:
        """Still ours? The row stays locked until the transaction ends, so no other owner writes beside us."""
        return bool(await self._tx.fetch_value(HOLDS, source_id=wanted.source_id, epoch=wanted.epoch))

    async def done(self, wanted: Wanted, version: int) -> None:
        """Removes the wish, unless a newer version was wanted meanwhile: that one is due at once."""
        key = {"source_id": wanted.source_id, "epoch": wanted.epoch}
        if not await self._tx.execute(DONE, **key, version=version):
            await self._tx.execute(RELEASE, **key)

    async def postpone(self, wanted: Wanted, seconds: float) -> None:
        await self._tx.execute(POSTPONE, source_id=wanted.source_id, epoch=wanted.epoch, seconds=seconds)


class Index:
    """What is searchable in one workspace."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def swap(self, workspace: str, cut: Cut) -> bool:
        """Replaces a source whole. False when a newer version is already there."""
        item = cut.item
        saved = await self._tx.execute(
            SAVE_SOURCE,
            workspace_id=workspace,
            chunks=len(cut.chunks),
            skipped=cut.skipped,
            **{name: getattr(item, name) for name in SOURCE_FIELDS},
        )
        if saved:
            await self._swap_chunks(workspace, cut)
            await self._swap_summaries(workspace, item.id, cut.summaries)
        return bool(saved)

    async def remove(self, source_id: str) -> None:
        rows = await self._tx.fetch_all(KEPT, source_id=source_id)
        await self._drop([row["pk"] for row in rows])
        await self._tx.execute(DROP_SUMMARIES, source_id=source_id)
        await self._tx.execute("DELETE FROM indexed_source WHERE id = :source_id", source_id=source_id)

    async def search(
        self, lexemes: Sequence[str], filters: Filters, after: Position | None, limit: int
    ) -> Sequence[Row]:
        conditions, values = _conditions(filters)
        if after:
            conditions.append("(f.score < :after_score OR (f.score = :after_score AND f.pk > :after_pk))")
            values |= {"after_score": after.score, "after_pk": after.pk}
        sql = SEARCH.format(k1=K1, b=B, filters=" AND ".join(conditions) or "true")
        return await self._tx.fetch_all(sql, lexemes=list(lexemes), limit=limit, **values)

    async def lexemes(self, query: str) -> list[str]:
        return [row["lexeme"] for row in await self._tx.fetch_all(LEXEMES, query=query)]

    async def source(self, source_id: str) -> Row | None:
        return await self._tx.fetch_one(SOURCE, source_id=source_id)

    async def wanted(self, source_id: str) -> Row | None:
        """With the database's time: whether it is due is seen by that alone."""
        return await self._tx.fetch_one(WANTED, source_id=source_id)

    async def chunks(self, source_id: str, after: int, limit: int) -> Sequence[Row]:
        return await self._tx.fetch_all(CHUNKS, source_id=source_id, after=after, limit=limit)

    async def summaries(self, source_id: str) -> Sequence[Row]:
        return await self._tx.fetch_all(SUMMARIES, source_id=source_id)

    async def _swap_chunks(self, workspace: str, cut: Cut) -> None:
        """An edited paragraph touches its own words only: the other chunks merely move."""
        source_id = cut.item.id
        old = {row["id"]: row for row in await self._tx.fetch_all(KEPT, source_id=source_id)}
        kept = {c.id for c in cut.chunks if c.id in old and _same(old[c.id], c.context, c.text)}
        await self._drop([row["pk"] for chunk_id, row in old.items() if chunk_id not in kept])
        values = [(chunk, _chunk_row(workspace, source_id, chunk)) for chunk in cut.chunks]
        moved = [{"pk": old[chunk.id]["pk"], **_place(row)} for chunk, row in values if chunk.id in kept]
        await self._tx.execute_many(MOVE_CHUNK, moved)
        await self._tx.execute_many(INSERT_CHUNKS, [row for chunk, row in values if chunk.id not in kept])
        texts = {c.id: text for c, text in zip(cut.chunks, cut.indexed_texts, strict=True) if c.id not in kept}
        await self._tx.execute(
            INSERT_POSTINGS, workspace_id=workspace, source_id=source_id, ids=list(texts), texts=list(texts.values())
        )
        await self._tx.execute(COUNT_WORDS, source_id=source_id)

    async def _swap_summaries(self, workspace: str, source_id: str, summaries: Sequence[Summary]) -> None:
        await self._tx.execute(DROP_SUMMARIES, source_id=source_id)
        rows = [
            {
                "workspace_id": workspace,
                "source_id": source_id,
                "anchor": summary.anchor,
                "heading": summary.heading,
                "ordinal": summary.ordinal,
                "text": summary.text,
                "chunk_ids": list(summary.chunk_ids),
            }
            for summary in summaries
        ]
        await self._tx.execute_many(INSERT_SUMMARIES, rows)

    async def _drop(self, pks: Sequence[int]) -> None:
        if pks:
            await self._tx.execute(DROP_POSTINGS, pks=list(pks))
            await self._tx.execute(DROP_CHUNKS, pks=list(pks))


class Workspaces:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def remember(self, workspace: str) -> None:
        await self._tx.execute(REMEMBER_WORKSPACE, workspace_id=workspace)

    async def knows(self, workspace: str) -> bool:
        return bool(await self._tx.fetch_value(KNOWS_WORKSPACE, workspace_id=workspace))

    async def erase(self, workspace: str) -> None:
        """Every row of it but the tombstone; unpublished facts of the outbox still go out first."""
        await self._tx.execute(MARK_ERASED, workspace_id=workspace)
        for table in ERASABLE:
            await self._tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
        sql = "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL"
        await self._tx.execute(sql, workspace=workspace)


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


def _same(row: Row, context: str, text: str) -> bool:
    return bool(row["context"] == context and row["text"] == text)


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in PLACE}


def _chunk_row(workspace: str, source_id: str, chunk: Any) -> dict[str, Any]:
    names = ("id", "ordinal", "anchor", "start_byte", "end_byte", "tokens", "context", "text")
    row = {name: getattr(chunk, name) for name in names}
    return {**row, "heading_path": list(chunk.heading_path), "workspace_id": workspace, "source_id": source_id}


def _conditions(filters: Filters) -> tuple[list[str], dict[str, Any]]:
    columns = {
        "types": "s.type",
        "providers": "s.provider",
        "integrations": "s.integration_id",
        "resources": "s.resource_id",
        "authors": "s.author",
    }
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name, column in columns.items():
        if wanted := getattr(filters, name):
            conditions.append(f"{column} = ANY(CAST(:{name} AS text[]))")
            values[name] = list(wanted)
    if filters.path is not None:
        conditions.append("starts_with(s.path, :path)")
        values["path"] = filters.path
    for name, sign in (("updated_after", ">="), ("updated_before", "<")):
        if (moment := getattr(filters, name)) is not None:
            conditions.append(f"s.updated_at {sign} :{name}")
            values[name] = moment
    return conditions, values
