"""A corpus that stands in a migrated Postgres, for benches of searches: rows, vectors, and queries drawn for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import numpy as np

from libs.common.database.engine import Database
from libs.local.postgres import Postgres
from services.chunker.embedding.choosing import Embedders
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.embedding.hashed import HashedWords
from services.chunker.embedding.queries import QueryEmbedder
from services.chunker.repository import generations
from tests.bench.search_rows import CHUNKS, DIMENSION, Corpus, fill, queries, read_corpus


class Given(HashedWords):
    """Queries have the vectors that were drawn for them: no model takes part."""

    def __init__(self) -> None:
        super().__init__(DIMENSION)
        self.drawn: dict[str, bytes] = {}

    async def embed_query(self, text: str) -> bytes:
        return self.drawn[text]


@dataclass(frozen=True)
class Standing:
    """`embedded`: the vectors of each workspace, by the order of its chunks' keys."""

    db: Database
    admin: asyncpg.Connection[asyncpg.Record]
    generation: Any
    corpus: Corpus
    embedded: dict[str, Any]
    given: Given
    random: Any

    def draw(self, count: int) -> list[str]:
        drawn = list(queries(self.corpus, count, self.random))
        self.given.drawn |= {text: halfvecs(vector)[0] for text, vector in drawn}
        return [text for text, _ in drawn]

    def queries(self) -> QueryEmbedder:
        given = self.given
        return QueryEmbedder(self.db, Embedders((given.name, given.dimension), {given.name: lambda: given}))


@asynccontextmanager
async def standing(postgres: Postgres, seed: int, chunks: Mapping[str, int] = CHUNKS) -> AsyncIterator[Standing]:
    random, given = np.random.default_rng(seed), Given()
    db = Database("chunker", app_url=postgres.dsn("chunker_app"), worker_url=postgres.dsn("chunker_worker"))
    admin = await asyncpg.connect(postgres.dsn("postgres"), server_settings={"search_path": "chunker, public"})
    try:
        async with db.queue() as tx:
            await generations.begin(tx, given.name, given.dimension)
            generation = (await generations.living(tx))[0]
        corpus = await read_corpus(admin, random)
        embedded = await fill(admin, corpus, generation.id, random, chunks)
        yield Standing(db, admin, generation, corpus, embedded, given, random)
    finally:
        await admin.close()
        await db.close()
