"""Two rankings become one, whose pages stay apart while the index changes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from services.chunker.domain.searching import Edge, Fusion, Leg, LegScore, Position, Ranked, Scale, Stretch, Word

RRF_K = 60
KEYWORDS, SENTENCE = 0.65, 0.35  # the words' share, before either ranking has told how much it knows
USUAL_GAP = 0.15  # between the nearest vector and the last candidate, over the corpora of decision 0037
SECOND = 0.1  # of the score of a source's next best chunk, where sources are ranked
LEAST_TRUST, MOST_TRUST = 0.5, 2.0
DIGITS = 9  # of a raw score: a sum that is added up in another order is the same score


def weighed(legs: Sequence[Leg], stretch: Stretch, share: float, words: Sequence[Word]) -> list[Leg]:
    """The legs with weights that add up to 1: each counts as much as its first candidates tell that it knows.

    Words count by how much of the query their best match holds, vectors by how far the nearest stands out. Both are
    read from the scales, so they are the same on every page.
    """
    if len(legs) == 1:
        return [msgspec.structs.replace(legs[0], weight=1.0)]
    lexical, vector = stretch.scales
    trusts = share * _held(lexical.high, words) ** 2, (1 - share) * _apart(vector)
    return [msgspec.structs.replace(leg, weight=one / sum(trusts)) for leg, one in zip(legs, trusts, strict=True)]


def _held(best: float, words: Sequence[Word]) -> float:
    """1: as much as a chunk of usual length that holds each word once."""
    whole = sum(word.idf for word in words)
    return min(1.0, best / whole) if whole else 0.0


def _apart(scale: Scale) -> float:
    return min(MOST_TRUST, max(LEAST_TRUST, (scale.high - scale.low) / USUAL_GAP))


def opened(legs: Sequence[Leg], depth: int, before: Stretch | None = None) -> Stretch:
    """The stretch that these candidates are. Its scores go on below those of the stretch before."""
    scales = before.scales if before else (None,) * len(legs)
    return Stretch(depth, tuple(_scale(leg, scale) for leg, scale in zip(legs, scales, strict=True)))


def _scale(leg: Leg, before: Scale | None) -> Scale:
    """Behind a full list others may follow, no better than its last; behind the end of all matches nothing does."""
    floor = _last(leg)
    absent = 0.0 if leg.name == "lexical" and leg.exhausted else floor.raw
    if before is not None:
        return Scale(before.low, before.high, absent, floor if leg.raw else before.floor, before.floor)
    return Scale(absent, max(leg.raw.values(), default=0.0), absent, floor)


def _last(leg: Leg) -> Edge:
    raw, pk = min(((raw, -pk) for pk, raw in leg.raw.items()), default=(0.0, 0))
    return Edge(raw, -pk)


def fused(
    legs: Sequence[Leg], stretch: Stretch, fusion: Fusion, boosts: Mapping[int, float], shown: Collection[int] = ()
) -> list[Ranked]:
    """Every candidate, best first. `boosts` are factors on a score by chunk: 1.1 lifts it by a tenth. What was `shown`
    is not shown again, whatever its score is by now.
    """
    ranks = [{pk: rank for rank, pk in enumerate(leg.raw, start=1)} for leg in legs]
    candidates = dict.fromkeys(pk for leg in legs for pk in leg.raw)
    ranked = [_ranked(pk, legs, ranks, stretch, fusion, boosts.get(pk, 1.0)) for pk in candidates]
    ranked = [msgspec.structs.replace(one, shown=True, due=False) if one.pk in shown else one for one in ranked]
    return sorted(ranked, key=lambda one: (-one.score, one.pk))


def _ranked(
    pk: int, legs: Sequence[Leg], ranks: Sequence[Mapping[int, int]], stretch: Stretch, fusion: Fusion, boost: float
) -> Ranked:
    raws = [leg.raw.get(pk) for leg in legs]
    alone = any(pk in leg.unread for leg in legs)
    told = tuple(
        LegScore(
            leg.name, float(pk not in leg.unread) if alone else leg.weight, scale.normalise(raw), raw, rank.get(pk)
        )
        for leg, raw, scale, rank in zip(legs, raws, stretch.scales, ranks, strict=True)
    )
    pairs = list(zip(stretch.scales, raws, strict=True))
    shown = any(scale.ceiling is not None and scale.ceiling.reached_by(raw, pk) for scale, raw in pairs)
    due = not shown and any(scale.floor.reached_by(raw, pk) for scale, raw in pairs)
    score = _score(told, fusion)
    lifted = score * boost if score > 0 else score / boost
    return Ranked(pk, lifted, stretch, shown, due, told, boost=boost, alone=alone)


def _score(told: Sequence[LegScore], fusion: Fusion) -> float:
    if fusion == "rrf":
        return sum(1 / (RRF_K + leg.rank) for leg in told if leg.rank is not None)
    return sum(leg.weight * leg.normalised for leg in told)


def grouped(ranked: Sequence[Ranked], source_of: Mapping[int, str]) -> list[Ranked]:
    """The best chunk of each source, with the number of its other candidates; a chunk that is gone has no source.

    A part of the next best counts as well: of two sources with as good a chunk the one that has more of it comes first.
    """
    groups: dict[str, list[Ranked]] = defaultdict(list)
    for one in ranked:
        if one.pk in source_of:
            groups[source_of[one.pk]].append(one)
    return sorted((_lead(group) for group in groups.values()), key=lambda one: (-one.score, one.pk))


def _lead(group: Sequence[Ranked]) -> Ranked:
    """A source that was shown by a chunk of an earlier stretch is not shown again by a lesser one.

    What is due leads before what waits for the next stretch with an equal score.
    """
    shown = any(one.shown for one in group)
    due = [] if shown else [one for one in group if one.due]
    best = next(iter(due), group[0])
    second = SECOND * max(due[1].score, 0.0) if len(due) > 1 else 0.0
    return msgspec.structs.replace(best, score=best.score + second, shown=shown, due=bool(due), further=len(group) - 1)


def following(ranked: Sequence[Ranked], position: Position | None) -> Iterator[Ranked]:
    """What comes behind the position on its stretch."""
    at = None if position is None else (-position.score, position.pk)
    return (one for one in ranked if one.due and (at is None or (-one.score, one.pk) > at))


def is_end(legs: Sequence[Leg], ranked: Sequence[Ranked]) -> bool:
    """No ranking has further candidates, and none of these waits for the next stretch."""
    return all(leg.exhausted for leg in legs) and all(one.shown or one.due for one in ranked)


def first(ranked: Iterator[Ranked], limit: int) -> list[Ranked]:
    return list(islice(ranked, limit))
