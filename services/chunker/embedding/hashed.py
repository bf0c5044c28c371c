"""Words and their parts as vectors: no model, no meaning, the same everywhere. Tests embed with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np

from services.chunker.embedding.halfvec import halfvecs

WORD = re.compile(r"\w+")
GRAM = 4


class HashedWords:
    """Each word and each run of four characters in one adds or takes one at its own place."""

    max_tokens = 8192

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.name = f"hash:{dimension}"

    async def embed_passages(self, texts: Sequence[str]) -> list[bytes]:
        return [self._embed(text) for text in texts]

    async def embed_query(self, text: str) -> bytes:
        return self._embed(text)

    async def aclose(self) -> None:
        """Holds nothing."""

    def _embed(self, text: str) -> bytes:
        places = np.zeros(self.dimension, dtype=np.float32)
        for part, times in Counter(_parts(text.lower())).items():
            digest = int.from_bytes(blake2b(part.encode(), digest_size=8).digest())
            places[(digest >> 1) % self.dimension] += times**0.5 * (1 if digest & 1 else -1)
        return halfvecs(places)[0]


def _parts(text: str) -> Iterator[str]:
    for word in WORD.findall(text):
        yield word
        yield from (f"#{word[at : at + GRAM]}" for at in range(len(word) - GRAM))
