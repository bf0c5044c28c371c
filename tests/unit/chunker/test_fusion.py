"""Two rankings become one whose pages are disjoint and whole, whatever comes and goes between them."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from services.chunker.domain.fusion import first, following, fused, grouped, is_end, opened, weighed
from services.chunker.domain.searching import Fusion, Leg, Position, Ranked, Stretch, Word

Raw = Mapping[int, float]
Source = Mapping[int, str] | None


def leg(name: str, raw: Raw, depth: int, weight: float = 0.5) -> Leg:
    best = sorted(raw.items(), key=lambda one: (-one[1], one[0]))[:depth]
    return Leg(name, dict(best), depth, weight)  # type: ignore[arg-type]


def legs_of(lexical: Raw, vector: Raw, depth: int) -> list[Leg]:
    return [leg("lexical", lexical, depth), leg("vector", vector, depth)]


def rank(lexical: Raw, vector: Raw, depth: int = 100, fusion: Fusion = "minmax") -> list[Ranked]:
    legs = legs_of(lexical, vector, depth)
    return fused(legs, opened(legs, depth), fusion, {})


def test_best_of_both_rankings_has_score_one_and_order_is_by_the_weighted_sum() -> None:
    ranked = rank({1: 10.0, 2: 5.0, 3: 2.0}, {1: 0.9, 3: 0.8, 2: 0.5}, depth=3)
    assert [one.pk for one in ranked] == [1, 3, 2]
    assert [round(one.score, 3) for one in ranked] == [1.0, 0.375, 0.188]


def test_word_match_is_worth_something_even_if_it_is_the_only_one() -> None:
    """With every match among the candidates, the least of them still has words in common: it is not at zero."""
    ranked = rank({1: 4.0, 2: 3.9}, {3: 0.9, 4: 0.2}, depth=10)
    assert {one.pk: round(one.score, 2) for one in ranked} == {1: 0.5, 3: 0.5, 2: 0.49, 4: 0.0}


def test_reciprocal_ranks_count_places_and_not_scores() -> None:
    ranked = rank({1: 100.0, 2: 1.0}, {2: 0.9, 1: 0.1}, fusion="rrf")
    assert ranked[0].score == ranked[1].score == pytest.approx(1 / 61 + 1 / 62)


def weights(lexical: Raw, vector: Raw, idfs: list[float], depth: int = 3) -> list[float]:
    legs = legs_of(lexical, vector, depth)
    words = [Word(f"w{n}", idf) for n, idf in enumerate(idfs)]
    return [one.weight for one in weighed(legs, opened(legs, depth), 0.5, words)]


def test_words_count_less_the_less_of_the_query_their_best_match_holds() -> None:
    vector = {1: 0.9, 2: 0.8, 3: 0.75}
    most, half, none = (weights({1: best} if best else {}, vector, [3.0, 1.0]) for best in (6.0, 2.0, 0.0))
    assert most == pytest.approx([0.5, 0.5])
    assert half == pytest.approx([0.2, 0.8])
    assert none == [0, 1]


def test_vectors_count_more_the_further_the_nearest_stands_out_within_bounds() -> None:
    near, far = (weights({1: 4.0}, {1: 0.5 + gap, 2: 0.5, 3: 0.5}, [4.0]) for gap in (0.01, 0.4))
    assert near == pytest.approx([2 / 3, 1 / 3])
    assert far == pytest.approx([1 / 3, 2 / 3])


def test_weights_of_a_later_stretch_are_those_of_the_first() -> None:
    lexical, vector = {pk: 9.0 - pk for pk in range(9)}, {pk: pk / 10 for pk in range(9)}
    words = [Word("w", 20.0)]
    legs = legs_of(lexical, vector, 3)
    first_stretch = opened(legs, 3)
    deeper = legs_of(lexical, vector, 6)
    later = opened(deeper, 6, first_stretch)
    told = [[one.weight for one in weighed(legs, stretch, 0.5, words)]
            for legs, stretch in ((legs, first_stretch), (deeper, later))]  # fmt: skip
    assert told[0] == told[1]


def test_ranking_that_stands_alone_has_all_the_weight() -> None:
    legs = [leg("lexical", {1: 1.0}, 3)]
    assert [one.weight for one in weighed(legs, opened(legs, 3), 0.35, [Word("w", 9.0)])] == [1.0]


def test_boost_moves_a_chunk_by_its_factor() -> None:
    legs = legs_of({1: 10.0, 2: 9.0}, {1: 0.9, 2: 0.8}, 2)
    plain, boosted = (fused(legs, opened(legs, 2), "minmax", boosts) for boosts in ({}, {2: 1.5, 1: 0.1}))
    assert [one.pk for one in plain] == [1, 2]
    assert boosted[0].score == pytest.approx(0.1)


def test_boost_lifts_and_lowers_what_stands_below_the_first_candidates_alike() -> None:
    legs = legs_of({1: 10.0, 2: 9.0}, {1: 0.9, 2: 0.8}, 2)
    deep = legs_of({1: 10.0, 2: 9.0, 3: 8.0}, {1: 0.9, 2: 0.8, 3: 0.7}, 3)
    behind = opened(deep, 3, opened(legs, 2))  # the scale goes on below 0
    scores = [
        next(one.score for one in fused(deep, behind, "minmax", boosts) if one.pk == 3)
        for boosts in ({3: 0.9}, {}, {3: 1.1})
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[1] < scores[2] < 0


def test_group_keeps_the_best_chunk_and_counts_the_others() -> None:
    ranked = grouped(rank({1: 9.0, 2: 8.0, 3: 7.0}, {1: 0.9, 2: 0.8, 3: 0.7}, 3), {1: "a", 2: "a", 3: "b"})
    assert [(one.pk, one.further) for one in ranked] == [(1, 1), (3, 0)]


def test_of_two_sources_with_as_good_a_chunk_the_one_with_a_second_comes_first() -> None:
    legs = [leg("lexical", {1: 9.0, 2: 8.9, 3: 7.0, 4: 0.0}, 4, weight=1.0)]
    found = fused(legs, opened(legs, 4), "minmax", {})
    ranked = grouped(found, {1: "a", 2: "b", 3: "b", 4: "c"})
    assert [one.pk for one in ranked] == [2, 1, 4]
    assert ranked[0].score == pytest.approx(found[1].score + 0.1 * found[2].score)


@pytest.mark.parametrize("seed", range(8))
def test_pages_of_sources_hold_each_once(seed: int) -> None:
    random_ = random.Random(seed)
    lexical = {pk: round(random_.random() * 20, 2) for pk in range(150) if random_.random() < 0.6}
    vector = {pk: round(random_.random(), 2) for pk in range(150)}
    source_of = {pk: f"s{pk // 4}" for pk in vector}
    seen = [source_of[pk] for pk in pages(lexical, vector, depth=10, limit=7, source_of=source_of)]
    assert sorted(seen) == sorted(set(source_of.values()))


@pytest.mark.parametrize("seed", range(8))
def test_pages_over_many_stretches_hold_every_candidate_once(seed: int) -> None:
    random_ = random.Random(seed)
    lexical = {pk: round(random_.random() * 20, 2) for pk in range(150) if random_.random() < 0.6}
    vector = {pk: round(random_.random(), 2) for pk in range(150)}
    seen = pages(lexical, vector, depth=10, limit=7)
    assert sorted(seen) == sorted(set(seen))
    assert set(seen) == set(vector)


@pytest.mark.parametrize("seed", range(8))
def test_chunks_that_come_and_go_between_pages_repeat_none_and_hide_none_that_stayed(seed: int) -> None:
    random_ = random.Random(seed)
    lexical = {pk: random_.random() * 20 for pk in range(120) if random_.random() < 0.6}
    vector = {pk: random_.random() for pk in range(120)}
    gone: set[int] = set()

    def change() -> None:
        fresh = max(vector) + 1
        lexical[fresh], vector[fresh] = random_.random() * 30, random_.random() * 1.2
        out = random_.choice([pk for pk in vector if pk < 120])
        gone.add(out)
        lexical.pop(out, None)
        del vector[out]

    seen = pages(lexical, vector, depth=10, limit=7, between=change)
    assert sorted(seen) == sorted(set(seen))
    assert set(range(120)) - gone <= set(seen)


def pages(  # type: ignore[no-untyped-def]
    lexical: Raw,
    vector: Raw,
    *,
    depth: int,
    limit: int,
    between=lambda: None,
    source_of: Source = None,
) -> list[int]:
    """Reads to the end as the use case does, one page after another."""
    seen: list[int] = []
    position: Position | None = None
    while True:
        page = one_page(lexical, vector, position, depth, limit + 1, source_of)
        seen += [one.pk for one in page[:limit]]
        if len(page) <= limit:
            return seen
        last = page[limit - 1]
        position = Position(
            question="",
            generation=None,
            moment="",
            mean=1,
            idfs=(),
            corrected=(),
            stretch=last.stretch,
            score=last.score,
            pk=last.pk,
        )
        between()


def one_page(
    lexical: Raw, vector: Raw, position: Position | None, depth: int, limit: int, source_of: Source
) -> list[Ranked]:
    found: list[Ranked] = []
    before: Stretch | None = None
    depth = position.stretch.depth if position else depth
    while True:
        legs = legs_of(lexical, vector, 2 * depth if position else depth)
        stretch = position.stretch if position else opened(legs, depth, before)
        ranked = fused(legs, stretch, "minmax", {})
        ranked = grouped(ranked, source_of) if source_of else ranked
        found += first(following(ranked, position), limit - len(found))
        if len(found) == limit or is_end(legs, ranked):
            return found
        before, position, depth = stretch, None, depth * 2
