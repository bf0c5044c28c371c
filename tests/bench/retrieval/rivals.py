"""Full text as it is usually written: `to_tsvector` of the raw text, and the two usual ways to ask and to rank."""

from __future__ import annotations

import asyncpg

from tests.bench.retrieval.loading import FOUND, Found, Indexed, text_of

TABLE = """
CREATE TEMP TABLE passage AS
SELECT source, chunk, to_tsvector('english', text) AS tsv
FROM unnest($1::text[], $2::text[], $3::text[]) AS p(source, chunk, text)
"""
FTS_AND = """
SELECT source, chunk FROM passage, websearch_to_tsquery('english', $1) AS query
WHERE tsv @@ query ORDER BY ts_rank_cd(tsv, query) DESC, chunk LIMIT $2
"""
# Any of the words: the lexemes of the question, joined by OR.
FTS_OR = """
WITH asked AS (
  SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS query FROM unnest(to_tsvector('english', $1))
)
SELECT source, chunk FROM passage, asked WHERE tsv @@ query ORDER BY ts_rank(tsv, query) DESC, chunk LIMIT $2
"""


class FullText:
    """One connection with a table of its own."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.connection = connection

    async def load(self, indexed: Indexed) -> None:
        texts = {one.chunk.id: text_of(one.chunk) for page in indexed.collection.pages for one in page.passages}
        keys = list(indexed.chunks)
        await self.connection.execute("DROP TABLE IF EXISTS passage")
        await self.connection.execute(
            TABLE, [source for source, _ in keys], [chunk for _, chunk in keys], [texts[chunk] for _, chunk in keys]
        )

    async def ask(self, sql: str, query: str) -> list[Found]:
        return [Found(row["source"], (row["chunk"],)) for row in await self.connection.fetch(sql, query, FOUND)]
