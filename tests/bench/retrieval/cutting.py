"""The two ways of cutting that are compared: ours, and windows of 512 tokens as they come."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.chunker.chunking import Chunk, Document, chunk
from services.chunker.chunking.ids import ChunkIds
from services.chunker.chunking.tokens import counter

OURS, WINDOW = 256, 512
_WORD = re.compile(r"\s*\S+|\s+")


def ours(document: Document) -> list[Chunk]:
    return chunk(document, OURS)


def windows(document: Document) -> list[Chunk]:
    """Filled word by word, cut wherever the budget ends; the path is all their context."""
    ids = ChunkIds(document.source_id)
    return [
        Chunk(ids.next((), text), n, "", (), text, 0, 0, counter()(text), document.path or "")
        for n, text in enumerate(_windows(document.text))
    ]


def _windows(text: str) -> Iterator[str]:
    count = counter()
    held: list[str] = []
    tokens = 0
    for word in _WORD.findall(text):
        weight = count(word)
        if held and tokens + weight > WINDOW:
            yield "".join(held)
            held, tokens = [], 0
        held.append(word)
        tokens += weight
    if held:
        yield "".join(held)
