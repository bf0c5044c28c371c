"""Postgres as the index: its tables are truth and index in one, so nobody tells it of a change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.embedding import QueryVector
from services.chunker.domain.query import Parsed
from services.chunker.domain.searching import Read, Word
from services.chunker.index.protocol import Reading
from services.chunker.repository import lexemes, search, vectors
from services.chunker.repository.filters import Narrowing


@dataclass(frozen=True)
class PostgresIndex:
    db: Database

    @asynccontextmanager
    async def reading(self, workspace: str) -> AsyncIterator[Reading]:
        async with self.db.snapshot(workspace) as tx:
            yield PostgresReading(tx)


@dataclass(frozen=True)
class PostgresReading:
    """Rankings and chunks are of the same moment."""

    tx: Transaction

    @asynccontextmanager
    async def truth(self) -> AsyncIterator[Transaction]:
        yield self.tx

    async def read(self, parsed: Parsed) -> Read:
        return await search.read_query(self.tx, parsed)

    async def count(self, lexemes: Sequence[str]) -> dict[str, int]:
        return await search.count(self.tx, lexemes)

    async def alike(self, words: Sequence[str], limit: int) -> dict[str, list[str]]:
        return await lexemes.alike(self.tx, words, limit)

    async def rank(self, words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int) -> dict[int, float]:
        return {row["pk"]: row["score"] for row in await search.rank(self.tx, words, mean, narrow, depth)}

    async def nearest(self, query: QueryVector, depth: int, narrow: Narrowing | None) -> dict[int, float]:
        near = await vectors.nearest(self.tx, query.generation, query.vector, depth, narrow=narrow)
        return {one.pk: one.similarity for one in near}

    async def matched(self, pks: Sequence[int], words: Sequence[Word]) -> Sequence[Row]:
        return await search.matched(self.tx, pks, words)
