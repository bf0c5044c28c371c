"""What is embedded of a chunk where that is not the chunk as it stands: each of its sections, and code in words."""

from __future__ import annotations

import re

from services.chunker.chunking.model import Chunk, ChunkKind
from services.chunker.domain.embedding import passage_text

_SYMBOLS = re.compile(r"""[^\w.,:;'"?!-]+|_+""")
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDS = " .,:;'\"-"
_JOINTS = str.maketrans("/.", "  ")


def passages_of(kind: ChunkKind, chunk: Chunk) -> tuple[str, ...]:
    """None: the chunk as a whole."""
    if kind == "code":
        return (passage_text(_place_in_words(chunk.context), in_words(chunk.text)),)
    return tuple(passage_text(part.context, part.text) for part in chunk.parts if part.text.strip())


def in_words(code: str) -> str:
    """`retryAfter(max_seconds):` is read as "retry After max seconds": the models have learnt from prose."""
    lines = (_line_in_words(line) for line in code.split("\n"))
    return "\n".join(line for line in lines if line)


def _line_in_words(line: str) -> str:
    return " ".join(_PARTS.sub(" ", _SYMBOLS.sub(" ", line)).split()).strip(_ENDS)


def _place_in_words(context: str) -> str:
    """A file whose title is its path names it once."""
    return in_words("\n".join(dict.fromkeys(context.split("\n"))).translate(_JOINTS))
