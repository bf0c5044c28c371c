"""BM25, as the statement in repository/search.py computes it."""

from __future__ import annotations

from math import log

K1 = 1.2  # the usual constants, measured best here (retrieval notes, section 3)
B = 0.75


def weight_of(frequency: int, words: int, mean: float) -> float:
    """Of a word in a chunk of `words` words, in a workspace whose chunks have `mean`."""
    return frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * words / mean))


def idf(chunks: float, held: int) -> float:
    """`held` of all `chunks` hold the word. Kept short: it travels in cursors."""
    chunks = max(chunks, held)
    return round(log(1 + (chunks - held + 0.5) / (held + 0.5)), 4)
