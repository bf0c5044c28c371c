"""BM25 in SQL, narrowed by filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.searching import K1, B, Filters, Position

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


async def search(
    tx: Transaction, lexemes: Sequence[str], filters: Filters, after: Position | None, limit: int
) -> Sequence[Row]:
    conditions, values = _conditions(filters)
    if after:
        conditions.append("(f.score < :after_score OR (f.score = :after_score AND f.pk > :after_pk))")
        values |= {"after_score": after.score, "after_pk": after.pk}
    sql = SEARCH.format(k1=K1, b=B, filters=" AND ".join(conditions) or "true")
    return await tx.fetch_all(sql, lexemes=list(lexemes), limit=limit, **values)


async def lexemes(tx: Transaction, query: str) -> list[str]:
    return [row["lexeme"] for row in await tx.fetch_all(LEXEMES, query=query)]


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
