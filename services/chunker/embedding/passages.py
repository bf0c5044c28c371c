"""What is embedded of a chunk where that is not the chunk as it stands: each of its sections, and code in words."""

from __future__ import annotations

import re

from services.chunker.chunking.model import Chunk, ChunkKind
from services.chunker.domain.embedding import passage_text

_SYMBOLS = re.compile(r"""[^\w.,:;'"?!-]+|_+""")
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def passages_of(kind: ChunkKind, chunk: Chunk) -> tuple[str, ...]:
    """None: the chunk as a whole."""
    if kind == "code":
        return (in_words(passage_text(chunk.context, chunk.text)),)
    return tuple(passage_text(part.context, part.text) for part in chunk.parts if part.text.strip())


def in_words(code: str) -> str:
    """`retryAfter(max_seconds)` is read as "retry After max seconds": the models have learnt from prose."""
    return " ".join(_PARTS.sub(" ", _SYMBOLS.sub(" ", code)).split())
