"""The embedder's loop: what is searchable by its words already is given its vectors, a batch at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.common.database.engine import Database
from libs.common.errors import PassingFailure, ProviderContractBroken, ProviderUnavailable
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter, gauge
from libs.common.testing.crashpoints import crashpoint
from services.chunker.domain.embedding import EmbedWanted, Generation, Vector
from services.chunker.domain.indexing import retry_seconds
from services.chunker.embedding.choosing import Embedders
from services.chunker.embedding.protocol import Embedder, TextRefused
from services.chunker.use_cases import embedding

LEASE_S = 60.0  # a batch takes seconds; a killed worker delays its sources' vectors by this much, not their words
RETIRED_S = 60.0  # until no query can be under way that asked with the old model
DROPPED_AT_ONCE = 5_000
PROBE = "a text that every model reads"
_embedded = counter("chunker_vectors_total", "Passages of chunks that were given a vector", ["outcome"])
_waiting = gauge("chunker_sources_without_vectors", "Sources with chunks that have no vector yet", ["state"])
log = get_logger(__name__)


@dataclass
class VectorWorker:
    """One step embeds one batch of each generation that lives: queries go on using the old one while another grows."""

    db: Database
    embedders: Embedders
    batch: int
    lease_s: float = LEASE_S
    retired_s: float = RETIRED_S
    _begun: bool = False
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def step(self) -> bool:
        await self._begin_once()
        worked = False
        for generation in await embedding.living_generations(self.db):
            embedder = await self.embedders.named(generation.name)
            if embedder is not None:
                worked |= await self._embed_batch(generation, embedder)
                _waiting.labels(generation.state).set(await embedding.count_waiting(self.db, generation))
        return await self._switch() or worked

    async def _begin_once(self) -> None:
        """At the start alone: of two replicas with different settings the later one began last, and that stays so."""
        async with self._beginning:
            target = self.embedders.target
            if self._begun or target is None or await self.embedders.named(target[0]) is None:
                return
            await embedding.begin_generation(self.db, *target)
            self._begun = True

    async def _switch(self) -> bool:
        if self.embedders.target and await embedding.switch_when_whole(self.db, self.embedders.target[0]):
            log.info("embedding_model_switched")
        crashpoint("chunker.switched")
        return await embedding.drop_retired(self.db, DROPPED_AT_ONCE, self.retired_s)

    async def _embed_batch(self, generation: Generation, embedder: Embedder) -> bool:
        claimed = await embedding.claim(self.db, generation, self.batch, self.lease_s)
        by_workspace: dict[str, list[EmbedWanted]] = defaultdict(list)
        for wanted in claimed:
            by_workspace[wanted.workspace_id].append(wanted)
        for group in by_workspace.values():
            await self._embed_group(group, embedder)
        return bool(claimed)

    async def _embed_group(self, group: Sequence[EmbedWanted], embedder: Embedder) -> None:
        """A passing failure of the endpoint postpones the group; what is indexed by words is not touched by it."""
        passages, made = await embedding.read_lacking(self.db, group, self.batch)
        texts = {passage.text_hash: passage.text for passage in passages if passage.text_hash not in made}
        try:
            fresh = await _vectors(embedder, texts)
        except (PassingFailure, ProviderContractBroken) as error:
            log.warning("chunks_not_embedded", code=error.code, reason=error.detail, count=len(passages))
            await embedding.postpone(self.db, group, retry_seconds(max(one.attempts for one in group)))
            _embedded.labels("postponed").inc(len(passages))
            return
        crashpoint("chunker.embedded")
        vectors = {passage: (made | fresh)[passage.text_hash] for passage in passages}
        saved = await embedding.save_vectors(self.db, group, vectors)
        crashpoint("chunker.vectors_saved")
        _embedded.labels("embedded").inc(min(saved, len(fresh)))
        _embedded.labels("reused").inc(max(0, saved - len(fresh)))


async def _vectors(embedder: Embedder, texts: Mapping[bytes, str]) -> dict[bytes, Vector]:
    """By the text's hash; None where the endpoint refuses this text and takes others."""
    if not texts:
        return {}
    try:
        made = await embedder.embed_passages(list(texts.values()))
    except TextRefused:
        return await _one_by_one(embedder, texts)
    return dict(zip(texts, made, strict=True))


async def _one_by_one(embedder: Embedder, texts: Mapping[bytes, str]) -> dict[bytes, Vector]:
    """Raises ProviderUnavailable if it refuses a harmless text as well: then it is not these texts that are wrong."""
    try:
        await embedder.embed_passages([PROBE])
    except TextRefused as error:
        raise ProviderUnavailable(f"{error.detail}, whatever it is asked: are the settings right?") from None
    found: dict[bytes, Vector] = {}
    for text_hash, text in texts.items():
        try:
            (found[text_hash],) = await embedder.embed_passages([text])
        except TextRefused:
            log.warning("text_refused")
            _embedded.labels("refused").inc()
            found[text_hash] = None
    return found
