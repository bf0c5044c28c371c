"""A chunker that embeds with doubles: what they were asked is kept, and they fail when told to."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.errors import ProviderUnavailable
from services.chunker.embedding.choosing import Embedders
from services.chunker.embedding.hashed import HashedWords
from services.chunker.embedding.protocol import TextRefused
from services.chunker.embedding.queries import QueryEmbedder, QueryVector
from services.chunker.repository import vectors
from services.chunker.repository.vectors import Near
from services.chunker.workers.embedding import VectorWorker
from tests.integration.chunker.conftest import Rig


class Double(HashedWords):
    """`away`: does not answer. `refuses`: each text that holds these words."""

    def __init__(self, dimension: int = 384) -> None:
        super().__init__(dimension)
        self.asked: list[str] = []
        self.away = False
        self.refuses = ""

    async def embed_passages(self, texts: Sequence[str]) -> list[bytes]:
        if self.away:
            raise ProviderUnavailable("the endpoint is away")
        if self.refuses and any(self.refuses in text for text in texts):
            raise TextRefused
        self.asked += texts
        return await super().embed_passages(texts)


class Embedding:
    """The rig's embedder: `target` is what its settings ask for, `others` what it can still answer with."""

    def __init__(self, rig: Rig, target: Double, *others: Double, batch: int = 8) -> None:
        self.rig = rig
        self.target = target
        makers = {one.name: (lambda one=one: one) for one in (target, *others)}
        self.embedders = Embedders((target.name, target.dimension), makers)
        self.worker = VectorWorker(db=rig.db, embedders=self.embedders, batch=batch, lease_s=30.0, retired_s=0.0)
        self.queries = QueryEmbedder(rig.db, self.embedders)

    async def embed(self) -> None:
        while await self.worker.step():
            pass
        await self.rig.tell_engine()

    async def nearest(self, text: str, depth: int = 10, workspace: str = "w1") -> list[Near]:
        found = await self.vector_of(text)
        async with self.rig.db.snapshot(workspace) as tx:
            return await vectors.nearest(tx, found.generation, found.vector, depth)

    async def texts(self, text: str, depth: int = 10, workspace: str = "w1") -> list[str]:
        found = await self.vector_of(text)
        async with self.rig.db.snapshot(workspace) as tx:
            near = await vectors.nearest(tx, found.generation, found.vector, depth)
            rows = await tx.fetch_all("SELECT pk, text FROM chunk WHERE pk = ANY(:pks)", pks=[one.pk for one in near])
        texts = {row["pk"]: row["text"] for row in rows}
        return [texts[one.pk] for one in near]

    async def vector_of(self, text: str) -> QueryVector:
        found = await QueryEmbedder(self.rig.db, self.embedders).embed_query(text)
        assert isinstance(found, QueryVector), found
        return found

    async def counted(self, sql: str, workspace: str = "w1") -> int:
        async with self.rig.db.transaction(workspace) as tx:
            return int(await tx.fetch_value(sql))
