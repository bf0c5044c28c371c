"""Vectors of the bundled models for the bench, kept on disk by the text: the corpora are embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from libs.common.database.engine import Database
from libs.local import models
from libs.local.state import State, find_root
from services.chunker.domain.embedding import Generation
from services.chunker.embedding.bundled import Bundled
from services.chunker.embedding.choosing import Embedders
from services.chunker.embedding.queries import QueryEmbedder
from services.chunker.repository import generations, vectors

BATCH, SAVED_EVERY = 32, 640


class Kept:
    """An embedder whose passages are computed once. Raises ModelUnavailable when the model cannot be had."""

    def __init__(self, state: State | None = None) -> None:
        state = state or State.at(find_root())
        self._model = Bundled(models.fetch(state))
        self._file = Path(state.home) / "cache" / "bench" / f"vectors-{self._model.name}.msgpack"
        self._kept: dict[str, bytes] = {}
        if self._file.exists():
            self._kept = msgspec.msgpack.decode(self._file.read_bytes(), type=dict[str, bytes])

    async def passages(self, texts: Sequence[str]) -> list[bytes]:
        missing = sorted({text for text in texts if _key(text) not in self._kept}, key=len)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self._kept |= zip(map(_key, batch), await self._model.embed_passages(batch), strict=True)
            if start % SAVED_EVERY == 0 or start + BATCH >= len(missing):
                self._save()
        return [self._kept[_key(text)] for text in texts]

    async def query(self, text: str) -> bytes:
        return await self._model.embed_query(text)

    def queries(self, db: Database) -> QueryEmbedder:
        name, dimension = self._model.name, self._model.dimension
        return QueryEmbedder(db, Embedders((name, dimension), {name: lambda: self._model}))

    async def generation(self, db: Database) -> Generation:
        """The one that queries use, begun if there is none."""
        async with db.queue() as tx:
            await generations.begin(tx, self._model.name, self._model.dimension)
            return (await generations.living(tx))[0]

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(msgspec.msgpack.encode(self._kept))
        draft.replace(self._file)


async def embed_workspace(db: Database, kept: Kept, generation: Generation, workspace: str) -> None:
    """Every chunk that has no vector, as the worker does it."""
    async with db.transaction(workspace) as tx:
        rows = await tx.fetch_all("SELECT id FROM indexed_source")
        sources = [row["id"] for row in rows]
        lacking = await vectors.lacking(tx, generation.id, sources, 1_000_000)
    embedded = await kept.passages([one.text for one in lacking])
    async with db.transaction(workspace) as tx:
        await vectors.save(tx, generation.id, sources, dict(zip(lacking, embedded, strict=True)))


def _key(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]
