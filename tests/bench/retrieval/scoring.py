"""nDCG@10, recall@5, MRR@10 and what 2,000 tokens show, of ranked hits with their labels; a label counts once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import log2
from typing import NamedTuple

DEPTH, RECALLED = 10, 5
READ = 2_000  # tokens: some eight chunks, or four windows of 512
Labels = frozenset[str]


class Hit(NamedTuple):
    labels: Labels
    tokens: int


class Scores(NamedTuple):
    """`read`: the share of the answers that whoever reads the hits in order has met within READ tokens."""

    ndcg: float
    recall: float
    mrr: float
    read: float


def score(hits: Sequence[Hit], relevant: Labels, *, any_of: bool = False) -> Scores:
    """`any_of`: the labels are alternatives, one found is all."""
    if any_of:
        hits = [Hit(frozenset({"found"} if hit.labels & relevant else ()), hit.tokens) for hit in hits]
        relevant = frozenset({"found"})
    seen: set[str] = set()
    gains: list[int] = []
    for hit in hits[:DEPTH]:
        fresh = (hit.labels & relevant) - seen
        gains.append(1 if fresh else 0)
        seen |= fresh
    ideal = sum(1 / log2(rank + 2) for rank in range(min(len(relevant), DEPTH)))
    return Scores(
        ndcg=sum(gain / log2(rank + 2) for rank, gain in enumerate(gains)) / ideal,
        recall=_found(hits[:RECALLED], relevant),
        mrr=next((1 / (rank + 1) for rank, gain in enumerate(gains) if gain), 0.0),
        read=_found(_within(hits, READ), relevant),
    )


def _found(hits: Sequence[Hit], relevant: Labels) -> float:
    return len(frozenset[str]().union(*(hit.labels for hit in hits)) & relevant) / len(relevant)


def _within(hits: Sequence[Hit], tokens: int) -> Sequence[Hit]:
    """Those that are read to their end."""
    ends = accumulate(hit.tokens for hit in hits)
    return [hit for hit, end in zip(hits, ends, strict=True) if end <= tokens]


def mean(scores: Sequence[Scores]) -> Scores:
    return Scores(*(sum(column) / len(scores) for column in zip(*scores, strict=True)))
