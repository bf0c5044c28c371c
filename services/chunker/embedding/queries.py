"""A query's vector, of the model whose vectors answer at this moment."""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec

from libs.common.database.engine import Database
from libs.common.errors import SluiceError
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter, histogram
from services.chunker.domain.embedding import Generation, QueryVector
from services.chunker.embedding.choosing import Embedders
from services.chunker.embedding.protocol import Embedder
from services.chunker.repository import generations

KEPT_S = 2.0  # retired vectors stay for a minute, so an answer of two seconds ago still finds its own
KEPT_QUERIES = 512
_seconds = histogram("chunker_query_embedding_seconds", "Seconds until a query has its vector")
_without = counter("chunker_queries_without_vector_total", "Queries that were answered by words alone", ["reason"])
log = get_logger(__name__)


class NoVector(msgspec.Struct, frozen=True, kw_only=True):
    """Answer by words. `reason`: off · starting (nothing is embedded yet) · no_embedder (the model of the vectors
    is not configured or not there) · unavailable (it does not answer now)."""

    reason: str


class QueryEmbedder:
    """`embed` is never called inside a transaction: an endpoint may take its time."""

    def __init__(self, db: Database, embedders: Embedders) -> None:
        self._db = db
        self._embedders = embedders
        self._active: Generation | None = None
        self._asked_at = float("-inf")
        self._kept: OrderedDict[tuple[int, str], bytes] = OrderedDict()

    async def embed(self, query: str) -> QueryVector | None:
        found = await self.embed_query(query)
        return found if isinstance(found, QueryVector) else None

    async def embed_query(self, text: str) -> QueryVector | NoVector:
        """Never raises for the model's sake: a search without it still answers."""
        found = await self._embed(text)
        if isinstance(found, NoVector):
            _without.labels(found.reason).inc()
        return found

    async def _embed(self, text: str) -> QueryVector | NoVector:
        if self._embedders.target is None:
            return NoVector(reason="off")
        generation = await self._generation()
        if generation is None:
            return NoVector(reason="starting")
        embedder = await self._embedders.named(generation.name)
        if embedder is None:
            return NoVector(reason="no_embedder")
        try:
            vector = self._kept.get((generation.id, text)) or await _timed(embedder, text)
        except SluiceError as error:
            log.warning("query_not_embedded", code=error.code)
            return NoVector(reason="unavailable")
        self._keep((generation.id, text), vector)
        return QueryVector(generation=generation, vector=vector)

    async def _generation(self) -> Generation | None:
        if time.monotonic() - self._asked_at > KEPT_S:
            async with self._db.queue() as tx:
                living = await generations.living(tx)
            self._active = next((one for one in living if one.state == "active"), None)
            self._asked_at = time.monotonic()
        return self._active

    def _keep(self, key: tuple[int, str], vector: bytes) -> None:
        """The pages of one search ask with one text."""
        self._kept[key] = vector
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_QUERIES:
            self._kept.popitem(last=False)


async def _timed(embedder: Embedder, text: str) -> bytes:
    with _seconds.time():
        return await embedder.embed_query(text)
