"""Searches that OpenSearch ranks, held to Postgres: what it has yet to be told is ranked there, and merged.

All that is read of Postgres is of one moment. Sources that changed since the engine was told of them are left out of
what it is asked, and each of its candidates is looked up before it counts: no answer is older than the last commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.embedding import QueryVector
from services.chunker.domain.query import Parsed
from services.chunker.domain.searching import Held, Read, Word
from services.chunker.index.opensearch.bodies import MOST_HITS, Scope
from services.chunker.index.opensearch.engine import Engine
from services.chunker.index.postgres import PostgresReading
from services.chunker.repository import search
from services.chunker.repository.filters import Narrowing, within

LEAST_HITS = 20


@dataclass(frozen=True)
class OpenSearchReading:
    """`fresh`: sources of this workspace that the engine has yet to be told of."""

    tx: Transaction
    engine: Engine
    mirror: str
    workspace: str
    fresh: Sequence[str]

    @property
    def postgres(self) -> PostgresReading:
        return PostgresReading(self.tx)

    @asynccontextmanager
    async def truth(self) -> AsyncIterator[Transaction]:
        yield self.tx

    async def read(self, parsed: Parsed) -> Read:
        known, looked_for, quoted = await search.analyse(self.tx, parsed)
        if not known or not looked_for:
            return Read(known, 0.0, 1.0, {}, quoted)
        found = await self._held(looked_for)
        return Read(known, found.chunks, max(found.words, 1.0) / max(found.chunks, 1.0), found.held, quoted)

    async def count(self, lexemes: Sequence[str]) -> dict[str, int]:
        return (await self._held(lexemes)).held

    async def alike(self, words: Sequence[str], limit: int) -> dict[str, list[str]]:
        """The different words of a workspace are few beside its chunks: they stay in Postgres alone."""
        return await self.postgres.alike(words, limit)

    async def rank(self, words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int) -> dict[int, float]:
        here: dict[int, float] = {}
        if self.fresh:
            here = await self.postgres.rank(words, mean, within(narrow, self.fresh), depth)
        there: dict[int, float] = {}
        async for scores in self._ranked(words, mean, narrow, depth):
            there |= await self._allowed(scores, narrow)
            if len(there) >= depth:
                break
        return _best(here | there, depth)

    async def _ranked(
        self, words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int
    ) -> AsyncIterator[dict[int, float]]:
        """Page after page: those that are not allowed make place for others."""
        after: list[Any] | None = None
        size = min(MOST_HITS, max(depth, LEAST_HITS))
        while words:
            page = await self.engine.rank(self.mirror, self._scope(narrow), words, mean, size, after)
            yield page.scores
            if (after := page.after) is None:
                return
            size = min(MOST_HITS, 2 * size)

    async def nearest(self, query: QueryVector, depth: int, narrow: Narrowing | None) -> dict[int, float]:
        here: dict[int, float] = {}
        if self.fresh:
            here = await self.postgres.nearest(query, depth, within(narrow, self.fresh))
        size = depth + 1
        while True:
            near = await self.engine.nearest(self.mirror, self._scope(narrow), query, size)
            whole = len(near) < size or size == MOST_HITS
            there = await self._allowed(near if whole else _complete(near), narrow)
            if len(there) >= depth or whole:
                return _best(here | there, depth)
            size = min(MOST_HITS, 2 * size)

    async def matched(self, pks: Sequence[int], words: Sequence[Word]) -> Sequence[Row]:
        return await self.postgres.matched(pks, words)

    async def _held(self, lexemes: Sequence[str]) -> Held:
        there = await self.engine.held(self.mirror, self._scope(None), lexemes)
        here = await search.held_by(self.tx, self.fresh, lexemes)
        held = {lexeme: there.held[lexeme] + here.held.get(lexeme, 0) for lexeme in lexemes}
        return Held(there.chunks + here.chunks, there.words + here.words, held)

    async def _allowed(self, scores: Mapping[int, float], narrow: Narrowing | None) -> dict[int, float]:
        """What is not there any more, and texts without the phrases, are the engine's mistakes to make."""
        allowed = await search.allowed(self.tx, list(scores), narrow) if scores else set()
        return {pk: score for pk, score in scores.items() if pk in allowed}

    def _scope(self, narrow: Narrowing | None) -> Scope:
        return Scope(self.workspace, self.fresh, narrow)


def _complete(near: Mapping[int, float]) -> dict[int, float]:
    """Without those that are as near as the last one: of equals the engine names whichever it met first."""
    last = min(near.values())
    return {pk: similarity for pk, similarity in near.items() if similarity > last}


def _best(scores: Mapping[int, float], depth: int) -> dict[int, float]:
    ordered = sorted(scores.items(), key=lambda one: (-one[1], one[0]))
    return dict(islice(ordered, depth))
