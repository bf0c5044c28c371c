"""The embedded default: two small models read each text, and their vectors stand side by side (decision 0040)."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from services.chunker.embedding.asking import SENTENCE_PREFIX, asked, readings
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.embedding.onnx import MODEL, TOKENIZER, Pinned, Reader

WIDTH, WINDOW = 384, 512  # of both
BGE_SMALL = Pinned("bge-small-en-v1.5-q", WINDOW, "first", {
    MODEL: "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4",
    TOKENIZER: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
})  # fmt: skip
MINILM = Pinned("all-minilm-l6-v2-q", WINDOW, "mean", {
    MODEL: "afdb6f1a0e45b715d0bb9b11772f032c399babd23bfc31fed1c170afc848bdb1",
    TOKENIZER: "da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0",
})  # fmt: skip
PATIENCE = 10  # nice, of 19


class Voice(NamedTuple):
    """`share`: of the cosine. It is asked with `prefix` before sentences, less `common` of what any text says."""

    model: Pinned
    share: float
    prefix: str = ""
    common: float = 0.0


FIRST = Voice(BGE_SMALL, 0.6, SENTENCE_PREFIX, 0.2)
BOTH, ALONE = (FIRST, Voice(MINILM, 0.4)), (FIRST,)


class Bundled:
    """Passages have `workers` threads of their own, so that a query never waits behind a batch of them.

    `threads` compute one text together. Raises ModelMissing.
    """

    max_tokens = WINDOW

    def __init__(self, place: Path, voices: Sequence[Voice] = BOTH, *, threads: int = 1, workers: int = 1) -> None:
        self.name = "+".join(voice.model.name for voice in voices)
        self.dimension = WIDTH * len(voices)
        self._voices = voices
        self._readers = [Reader(place, voice.model, threads=threads) for voice in voices]
        self._nothing = [reader.read("") for reader in self._readers]
        self._passages = ThreadPoolExecutor(workers, "embed-passages", initializer=_give_way)
        self._queries = ThreadPoolExecutor(1, "embed-query")

    async def embed_passages(self, texts: Sequence[str]) -> list[bytes]:
        return list(await asyncio.gather(*(_in(self._passages, self._passage, text) for text in texts)))

    async def embed_query(self, text: str) -> bytes:
        return await _in(self._queries, self._query, text)

    async def aclose(self) -> None:
        for pool in (self._passages, self._queries):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _passage(self, text: str) -> bytes:
        return self._beside([reader.read(text) for reader in self._readers])

    def _query(self, text: str) -> bytes:
        heard = zip(self._voices, self._readers, self._nothing, strict=True)
        return self._beside([
            asked([reader.read(one) for one in readings(text, voice.prefix)], nothing, voice.common)
            for voice, reader, nothing in heard
        ])  # fmt: skip

    def _beside(self, vectors: Sequence[Any]) -> bytes:
        """Each by the root of its share: a cosine of the whole is then the cosines of its parts by their shares."""
        weighed = [sqrt(voice.share) * vector for voice, vector in zip(self._voices, vectors, strict=True)]
        return halfvecs([np.concatenate(weighed)])[0]


def _in(pool: Executor, make: Callable[[str], bytes], text: str) -> asyncio.Future[bytes]:
    return asyncio.get_running_loop().run_in_executor(pool, make, text)


def _give_way() -> None:
    """Whatever else this machine has to do, a search or the indexing of words, comes before the vectors of passages."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PATIENCE)
