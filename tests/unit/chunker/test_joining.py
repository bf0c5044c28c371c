"""Chunks side by side become one hit: of the better neighbour, as long as it has room, and within one stretch."""

from __future__ import annotations

from services.chunker.domain.joining import LONGEST, Place, joined
from services.chunker.domain.searching import Ranked, Stretch

STRETCH = Stretch(100, ())


def ranked(*scores: float, due: bool = True) -> list[Ranked]:
    """Chunk 0 has the first score, and so on; best first."""
    found = [Ranked(pk, score, STRETCH, shown=False, due=due) for pk, score in enumerate(scores)]
    return sorted(found, key=lambda one: -one.score)


def places(*tokens: int, source: str = "s") -> dict[int, Place]:
    return {n: Place(source, n, size) for n, size in enumerate(tokens)}


def members(hits: list[Ranked]) -> list[list[int]]:
    return [[one.pk for one in hit.members] for hit in hits]


def test_neighbours_are_one_hit_led_by_the_best() -> None:
    hits = joined(ranked(0.5, 0.9, 0.6), places(100, 100, 100))
    assert members(hits) == [[1, 2, 0]]
    assert hits[0].score == 0.9


def test_hit_is_no_longer_than_is_read_at_once() -> None:
    assert members(joined(ranked(0.9, 0.8, 0.7), places(256, 256, 1))) == [[0, 1], [2]]
    assert members(joined(ranked(0.9, 0.8), places(LONGEST, 1))) == [[0], [1]]


def test_chunk_between_two_hits_joins_the_better_and_the_other_if_that_has_no_room() -> None:
    assert members(joined(ranked(0.8, 0.5, 0.9), places(100, 100, 100))) == [[2, 1], [0]]
    assert members(joined(ranked(0.8, 0.5, 0.9), places(100, 100, 500))) == [[2], [0, 1]]


def test_chunk_that_says_little_beside_the_best_stays_a_hit_of_its_own() -> None:
    assert members(joined(ranked(1.0, 0.1), places(10, 10))) == [[0], [1]]


def test_neither_gaps_nor_other_sources_are_bridged() -> None:
    far = {0: Place("s", 0, 10), 1: Place("s", 2, 10), 2: Place("t", 1, 10)}
    assert members(joined(ranked(0.9, 0.8, 0.7), far)) == [[0], [1], [2]]


def test_chunk_of_another_stretch_joins_nothing_and_one_that_is_gone_is_no_hit() -> None:
    (first,), (later,) = ranked(0.9), ranked(0.5, due=False)
    assert members(joined([first, Ranked(1, later.score, STRETCH, shown=False, due=False)], places(10, 10))) == [
        [0], [1],
    ]  # fmt: skip
    assert joined([first], {}) == []
