"""Chunks that stand side by side and both answer are one hit, up to what is read at once (decision 0040). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from services.chunker.domain.searching import Ranked

LONGEST = 512  # tokens of a hit of several chunks
LEAST = 0.2  # of the score of the best chunk: less says little, and takes the place of other hits


class Place(NamedTuple):
    """`ordinal`: which chunk of its source."""

    source: str
    ordinal: int
    tokens: int


@dataclass
class _Hit:
    lead: Ranked
    tokens: int = 0
    beside: list[Ranked] = field(default_factory=list)


def joined(ranked: Sequence[Ranked], places: Mapping[int, Place]) -> list[Ranked]:
    """Best first, each chunk joins the better of the hits right beside it that has room, or begins one of its own.

    Only what is due on this stretch joins: a neighbour from deeper down is not lost to a hit that was shown before.
    A chunk that is gone has no place.
    """
    hits: list[_Hit] = []
    at: dict[tuple[str, int], _Hit] = {}
    for one in ranked:
        if (place := places.get(one.pk)) is None:
            continue
        if one.due and (hit := _beside(at, place, one.score)):
            hit.beside.append(one)
        else:
            hits.append(hit := _Hit(one))
        hit.tokens += place.tokens
        if one.due:
            at[place.source, place.ordinal] = hit
    return [msgspec.structs.replace(hit.lead, beside=tuple(hit.beside)) for hit in hits]


def _beside(at: Mapping[tuple[str, int], _Hit], place: Place, score: float) -> _Hit | None:
    near = (at.get((place.source, place.ordinal + step)) for step in (-1, 1))
    room = [hit for hit in near if hit and hit.tokens + place.tokens <= LONGEST and score >= LEAST * hit.lead.score]
    return min(room, key=lambda hit: (-hit.lead.score, hit.lead.pk), default=None)
