"""Which embedder the settings ask for, and which one still answers for a generation before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from libs.common.http.client import OutboundClient
from libs.common.telemetry.logging import get_logger
from services.chunker.embedding.hashed import HashedWords
from services.chunker.embedding.openai import EndpointEmbedder
from services.chunker.embedding.protocol import Embedder, ModelMissing
from services.chunker.settings import ChunkerSettings

log = get_logger(__name__)

Make = Callable[[], Embedder]
FIRST = "bge-small-en-v1.5-q"
BUNDLED = f"{FIRST}+all-minilm-l6-v2-q"
DIMENSIONS = {FIRST: 384, BUNDLED: 768}
OURS = {"bundled": BUNDLED, "bge-small": FIRST}
ROOM = 1.5  # tokens of a model for one of cl100k, with the context's


class Embedders:
    """Made when a generation first asks for one by its name, then kept: two models take a second and 230 MB.

    `target` is the name and dimension that everything is to be embedded with, None for words alone.
    """

    def __init__(self, target: tuple[str, int] | None, makers: Mapping[str, Make]) -> None:
        self.target = target
        self._makers = dict(makers)
        self._made: dict[str, asyncio.Task[Embedder | None]] = {}

    async def named(self, name: str) -> Embedder | None:
        """None: nothing of this process makes vectors of that model.

        Whoever asks may lose patience: the model is loaded once all the same.
        """
        if name not in self._made:
            self._made[name] = asyncio.create_task(asyncio.to_thread(self._make, name))
        return await asyncio.shield(self._made[name])

    async def ready(self) -> bool:
        """Whether the configured one can embed; without it searches go by words."""
        return self.target is None or await self.named(self.target[0]) is not None

    async def aclose(self) -> None:
        for making in self._made.values():
            if (embedder := await making) is not None:
                await embedder.aclose()

    def _make(self, name: str) -> Embedder | None:
        maker = self._makers.get(name)
        if maker is None:
            return None
        try:
            return maker()
        except ModelMissing as error:
            log.error("embedding_model_missing", code=error.code, reason=error.detail)
            return None


def chosen(settings: ChunkerSettings, client: OutboundClient) -> Embedders:
    bundled: dict[str, Make] = {name: partial(_bundled, settings, name) for name in DIMENSIONS}
    if name := OURS.get(settings.embedder):
        return Embedders((name, DIMENSIONS[name]), {**bundled, **_previous(settings, client)})
    if settings.embedder == "none":
        return Embedders(None, {})
    embedder = _hashed(settings) if settings.embedder == "hash" else _configured(settings, client)
    given: dict[str, Make] = {embedder.name: lambda: embedder}
    return Embedders((embedder.name, embedder.dimension), {**bundled, **_previous(settings, client), **given})


def _bundled(settings: ChunkerSettings, name: str) -> Embedder:
    """Imported by whoever embeds with it: the runtime alone takes 60 MB."""
    if not settings.embedding_model_dir:
        raise ModelMissing("EMBEDDING_MODEL_DIR is not set: `python -m libs.local.models` fetches the bundled models")
    from services.chunker.embedding.bundled import ALONE, BOTH, Bundled

    place, threads = Path(settings.embedding_model_dir), settings.embedding_threads
    voices = BOTH if name == BUNDLED else ALONE
    model = Bundled(place, voices, threads=threads, workers=max(1, settings.embedding_workers))
    if settings.chunk_tokens * ROOM > model.max_tokens:
        log.warning(
            "chunks_longer_than_window", limit=model.max_tokens, reason="the end of long chunks is not embedded"
        )
    return model


def _hashed(settings: ChunkerSettings) -> Embedder:
    return HashedWords(settings.embedding_dimension)


def _configured(settings: ChunkerSettings, client: OutboundClient) -> Embedder:
    return EndpointEmbedder(
        client,
        url=settings.embedding_url,
        model=settings.embedding_model,
        dimension=settings.embedding_dimension,
        key=settings.embedding_api_key,
        batch=settings.embedding_batch,
    )


def _previous(settings: ChunkerSettings, client: OutboundClient) -> dict[str, Make]:
    """The model before, at an endpoint that still answers. A key goes to its own address only."""
    if not settings.embedding_previous_model:
        return {}
    url = settings.embedding_previous_url or settings.embedding_url
    same = settings.embedding_api_key if url == settings.embedding_url else ""
    embedder = EndpointEmbedder(
        client,
        url=url,
        model=settings.embedding_previous_model,
        dimension=settings.embedding_previous_dimension,
        key=settings.embedding_previous_api_key or same,
        batch=settings.embedding_batch,
    )
    return {embedder.name: lambda: embedder}
