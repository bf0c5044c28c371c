"""nDCG@10, recall@5 and MRR@10 of ranked hits, each of which carries labels; a label counts once."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import NamedTuple

DEPTH, RECALLED = 10, 5
Labels = frozenset[str]


class Scores(NamedTuple):
    ndcg: float
    recall: float
    mrr: float


def score(hits: Sequence[Labels], relevant: Labels, *, any_of: bool = False) -> Scores:
    """`any_of`: the labels are alternatives, one found is all."""
    if any_of:
        hits = [frozenset({"found"}) if hit & relevant else frozenset() for hit in hits]
        relevant = frozenset({"found"})
    seen: set[str] = set()
    gains: list[int] = []
    for hit in hits[:DEPTH]:
        fresh = (hit & relevant) - seen
        gains.append(1 if fresh else 0)
        seen |= fresh
    ideal = sum(1 / log2(rank + 2) for rank in range(min(len(relevant), DEPTH)))
    recalled = frozenset[str]().union(*hits[:RECALLED]) & relevant
    return Scores(
        ndcg=sum(gain / log2(rank + 2) for rank, gain in enumerate(gains)) / ideal,
        recall=len(recalled) / len(relevant),
        mrr=next((1 / (rank + 1) for rank, gain in enumerate(gains) if gain), 0.0),
    )


def mean(scores: Sequence[Scores]) -> Scores:
    return Scores(*(sum(column) / len(scores) for column in zip(*scores, strict=True)))
