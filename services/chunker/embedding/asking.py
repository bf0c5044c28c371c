"""How the bundled models are asked: in which forms they read a query, and what counts less (decision 0037)."""

from __future__ import annotations

from typing import Any

from services.chunker.domain.query import is_sentence
from services.chunker.embedding.halfvec import unit
from services.chunker.embedding.passages import in_words

SENTENCE_PREFIX = "Represent this sentence for searching relevant passages: "  # as the makers of BGE trained it


def readings(query: str, prefix: str = "") -> list[str]:
    """As typed and, where that is something else, in words: prose is embedded as it stands, code in words."""
    worded = in_words(query)
    before = prefix if is_sentence(query) else ""
    return [before + text for text in ([query] if worded in query else [query, worded])]


def asked(read: Any, nothing: Any, common: float) -> Any:
    """One vector of all readings, with less of what the model says of any text, even of one that says `nothing`.

    Of unit length.
    """
    return unit(unit(unit(read).sum(axis=0)) - common * unit(nothing))[0]
