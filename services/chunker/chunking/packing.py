"""Groups units into chunks at content-defined boundaries, so that an edit moves the boundaries near it and no others.

Long runs are first cut at anchors: a unit that outranks every other within most of a budget on both sides. Whether a
unit is an anchor depends on its surroundings alone, so packing starts afresh there whatever was edited before. Between
anchors each chunk ends at the best boundary of the last part of its budget. "Best" is structure first (a heading before
a paragraph before a sentence), then a hash of the words that follow.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from zlib import crc32

from services.chunker.chunking.model import BLOCK, HARD, ITEM, LINE, Unit
from services.chunker.chunking.splitting import INEXACT_ROOM

HEAD = 48  # characters of a unit that decide its hash: an edit further in moves no boundary
_APART = 0.9  # budgets on either side that an anchor must outrank
_APART_INSIDE = 4  # or as many, where it is a line inside a block: each anchor may cost one cut more
_FULL_FROM = 0.7  # a chunk may end from here on
_WHOLE_FROM = 0.3  # or from here on, rather than inside a block, a list item, a function body
_EVEN = 0.3  # the last two chunks of a run share it no less evenly than this
_SPREAD = 0x9E3779B1


_Heads = Callable[[int, int], Sequence[str]]


def pack(units: list[Unit], heads: _Heads, budget: int) -> list[int]:
    """Indices of the units that open a chunk, the first always among them; `heads` tells how those units begin."""
    starts: list[int] = []
    hard = [i for i, unit in enumerate(units) if unit.rank == HARD and i]
    for first, last in zip([0, *hard], [*hard, len(units)], strict=True):
        starts += _Run(units, first, last, heads, budget).cuts()
    return starts


class _Run:
    """Units that may share chunks: those between two hard boundaries."""

    def __init__(self, units: list[Unit], first: int, last: int, heads: _Heads, budget: int) -> None:
        self.units, self.first, self.heads = units[first:last], first, heads
        self.at = [0, *accumulate([unit.tokens for unit in self.units])]
        self.budget = budget if all([unit.exact for unit in self.units]) else budget - INEXACT_ROOM
        self.strength: list[int] = []
        self.strong: list[int] = []  # units that begin a block

    def cuts(self) -> list[int]:
        if self.at[-1] <= self.budget:
            return [self.first]
        self.strength = [
            unit.rank << 32 | crc32(head.encode()) * _SPREAD & 0xFFFFFFFF
            for unit, head in zip(self.units, self.heads(self.first, self.first + len(self.units)), strict=True)
        ]
        self.strong = [i for i, unit in enumerate(self.units) if unit.rank >= BLOCK]
        anchors = self._anchors()
        cuts: list[int] = []
        for start, end in zip(anchors, [*anchors[1:], len(self.units)], strict=True):
            cuts += self._fill(start, end)
        return [self.first + i for i in cuts]

    def _anchors(self) -> list[int]:
        """Units stronger than all within reach on both sides; one pass with a stack of the still unbeaten."""
        at, strength = self.at, self.strength
        far, near = int(self.budget * _APART_INSIDE), int(self.budget * _APART)
        if at[-1] < near + near // 2:
            return [0]
        reach = [far if LINE <= unit.rank < ITEM else near for unit in self.units]
        standing: list[int] = []
        clear: list[int] = []  # those of them that nothing stronger precedes within their reach
        anchors: list[int] = []
        for i in range(1, len(self.units)):
            while standing and strength[standing[-1]] < strength[i]:
                beaten = standing.pop()
                if clear and clear[-1] == beaten and at[i] - at[clear.pop()] >= reach[beaten]:
                    anchors.append(beaten)
            if at[i] - (at[standing[-1]] if standing else 0) >= reach[i]:
                clear.append(i)
            standing.append(i)
        anchors += [i for i in clear if at[-1] - at[i] >= reach[i] // 2]
        return [0, *sorted(anchors)]

    def _fill(self, start: int, end: int) -> list[int]:
        cuts = [start]
        while self.at[end] - self.at[cuts[-1]] > self.budget and end - cuts[-1] > 1:
            cuts += self._next_cuts(cuts[-1], end)
        return cuts

    def _next_cuts(self, start: int, end: int) -> list[int]:
        rest = self.at[end] - self.at[start]
        earliest, latest = self.budget * _FULL_FROM, float(self.budget)
        if rest <= 2 * self.budget:
            earliest, latest = max(rest - self.budget, rest * _EVEN), min(self.budget, rest * (1 - _EVEN))
        low, high = self._within(start, end, earliest, latest)
        if low >= high or (max(self.strength[low:high]) >> 32) < BLOCK:
            whole, _ = self._within(start, end, self.budget * _WHOLE_FROM, earliest)
            if whole >= low or (max(self.strength[whole:low]) >> 32) < BLOCK:
                return self._through_block(start, end)
            low, high = whole, low
        return [max(range(low, high), key=self.strength.__getitem__)]

    def _within(self, start: int, end: int, earliest: float, latest: float) -> tuple[int, int]:
        """Indices of the units before which there are so many tokens from `start` on."""
        low = bisect_left(self.at, self.at[start] + earliest, start + 1, end)
        return low, bisect_right(self.at, self.at[start] + latest, low, end)

    def _through_block(self, start: int, end: int) -> list[int]:
        """A function, a fence, a paragraph over the budget goes into as few chunks as it can: all but the first begin
        inside. What stands before it has a chunk of its own where it would cost one cut more."""
        opening, stop = self._block(start, end)
        latest = self._latest_starts(start, stop)
        if opening > start and len(latest) > len(self._latest_starts(opening, stop)):
            return [opening]
        cuts = [start]
        for low in latest:
            high = bisect_right(self.at, self.at[cuts[-1]] + self.budget, low + 1, stop)
            cuts.append(max(range(low, high), key=self.strength.__getitem__))
        return cuts[1:] or [stop]

    def _block(self, start: int, end: int) -> tuple[int, int]:
        """Where the block that does not fit begins and ends; a little may stand before it."""
        after = bisect_right(self.strong, start)
        little = bisect_left(self.at, self.at[start] + self.budget * _WHOLE_FROM, start + 1, end)
        first = bisect_left(self.strong, little, after)
        opening = self.strong[first - 1] if first > after else start
        return opening, min(self.strong[first], end) if first < len(self.strong) else end

    def _latest_starts(self, start: int, end: int) -> list[int]:
        """Where the second and later of the fewest chunks begin if each but the first is as full as can be."""
        starts: list[int] = []
        while self.at[end] - self.at[start] > self.budget and end - start > 1:
            end = max(min(bisect_left(self.at, self.at[end] - self.budget), end - 1), start + 1)
            starts.append(end)
        return starts[::-1]
