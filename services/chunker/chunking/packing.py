"""Groups units into chunks at content-defined boundaries, so that an edit moves the boundaries near it and no others.

Long runs are first cut at anchors: a unit that outranks every other within most of a budget on both sides. Whether a
unit is an anchor depends on its surroundings alone, so packing starts afresh there whatever was edited before. Between
anchors each chunk ends at the best boundary of the last part of its budget. "Best" is structure first (a heading before
a paragraph before a sentence), then a hash of the words that follow.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate
from zlib import crc32

from services.chunker.chunking.model import BLOCK, GLUED, HARD, Unit
from services.chunker.chunking.splitting import INEXACT_ROOM

_HEAD = 48  # characters of a unit that decide its hash: an edit further in moves no boundary
_APART = 0.9  # budgets on either side that an anchor must outrank
_FULL_FROM = 0.7  # a chunk may end from here on
_WHOLE_FROM = 0.3  # or from here on, rather than inside a block, a list item, a function body
_EVEN = 0.3  # the last two chunks of a run share it no less evenly than this
_SPREAD = 0x9E3779B1


def pack(units: list[Unit], text: str, budget: int) -> list[int]:
    """Indices of the units that open a chunk, the first always among them."""
    starts: list[int] = []
    hard = [i for i, unit in enumerate(units) if unit.rank == HARD and i]
    for first, last in zip([0, *hard], [*hard, len(units)], strict=True):
        starts += _Run(units, first, last, text, budget).cuts()
    return starts


class _Run:
    """Units that may share chunks: those between two hard boundaries."""

    def __init__(self, units: list[Unit], first: int, last: int, text: str, budget: int) -> None:
        self.units, self.first, self.text = units[first:last], first, text
        self.at = [0, *accumulate(unit.tokens for unit in self.units)]
        self.budget = budget if all(unit.exact for unit in self.units) else budget - INEXACT_ROOM
        self.strength: list[int] = []

    def cuts(self) -> list[int]:
        if self.at[-1] <= self.budget:
            return [self.first]
        text = self.text
        self.strength = [
            unit.rank << 32 | crc32(text[unit.start : unit.start + _HEAD].encode()) * _SPREAD & 0xFFFFFFFF
            for unit in self.units
        ]
        anchors = self._anchors()
        cuts: list[int] = []
        for start, end in zip(anchors, [*anchors[1:], len(self.units)], strict=True):
            cuts += self._fill(start, end)
        return [self.first + i for i in cuts]

    def _anchors(self) -> list[int]:
        """Units stronger than all within reach on both sides; one pass with a stack of the still unbeaten."""
        at, strength = self.at, self.strength
        reach = int(self.budget * _APART)
        standing: list[tuple[int, bool]] = []
        anchors: list[int] = []
        for i in range(1, len(self.units)):
            while standing and strength[standing[-1][0]] < strength[i]:
                beaten, strong = standing.pop()
                if strong and at[i] - at[beaten] >= reach:
                    anchors.append(beaten)
            clear = at[i] - at[standing[-1][0]] >= reach if standing else at[i] >= reach
            standing.append((i, clear))
        anchors += [i for i, strong in standing if strong and at[-1] - at[i] >= reach // 2]
        return [0, *sorted(anchors)]

    def _fill(self, start: int, end: int) -> list[int]:
        cuts = [start]
        while self.at[end] - self.at[start] > self.budget and end - start > 1:
            start = self._next_cut(start, end)
            cuts.append(start)
        return cuts

    def _next_cut(self, start: int, end: int) -> int:
        base, rest = self.at[start], self.at[end] - self.at[start]
        earliest, latest = self.budget * _FULL_FROM, float(self.budget)
        if rest <= 2 * self.budget:
            earliest, latest = max(rest - self.budget, rest * _EVEN), min(self.budget, rest * (1 - _EVEN))
        low = max(bisect_left(self.at, base + earliest, start + 1, end), start + 1)
        high = bisect_right(self.at, base + latest, start + 1, end)
        if low >= high or (max(self.strength[low:high]) >> 32) < BLOCK:
            whole = bisect_left(self.at, base + self.budget * _WHOLE_FROM, start + 1, end)
            if whole < low and (max(self.strength[whole:low]) >> 32) >= BLOCK:
                low, high = whole, low
        if low >= high:
            low, high = start + 1, max(bisect_right(self.at, base + self.budget, start + 1, end), start + 2)
            return max(range(low, high), key=lambda i: (self.units[i].rank > GLUED, i))
        return max(range(low, high), key=self.strength.__getitem__)
