"""Cuts what alone exceeds the budget: at lines, then sentences, then words, then characters.

Pieces are small on purpose: packing chooses among their starts by content, so that an edit does not move them all.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from services.chunker.chunking.model import BLOCK, ITEM, LINE, MARGIN, PARTED, SENTENCE, WORD, Section, Unit
from services.chunker.chunking.tokens import counter

# Sentences are counted with the blank before them, as the tokenizer sees them, though they are cut after it:
# the sum may then be off by a few tokens, which packing leaves room for.
INEXACT_ROOM = 4

_WORDS_AHEAD = re.compile(r"[^\S\n]*+\S")
_LINE = re.compile(rf"\n(?={_WORDS_AHEAD.pattern})")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*+\s++|[。!?]++|\n\s*+")
_WORD_END = re.compile(r"\s+")
_BULLET = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*(?:[-+*]|\d{1,9}[.)])[ \t]")
_QUOTE_MARKS = re.compile(r"[ \t>]*\n?\Z")
_SMALLEST_RUN, _LONGEST_RUN = 16, 64
_LARGEST_PIECE = 4  # of a budget: lines of a block that count more together are counted apart
_SMALLEST_SENTENCE = 8  # what is shorter goes with the next: "1. ", "…", a line of one sign
_OPENING_LINE = re.compile(r"\n(?=[^\s\])}`~]|[ \t]*+[{<])")  # at the margin and closing nothing, or an object or a tag


def starts_exact(text: str, start: int) -> bool:
    """Whether the line at `start` holds more than blanks, so that no token reaches back across it."""
    return _WORDS_AHEAD.match(text, start) is not None


def line_starts(text: str, start: int, end: int) -> list[int]:
    """Starts of the lines in the range that hold something, the first always among them."""
    return [start, *[found.end() for found in _LINE.finditer(text, start, end)]]


def spans(starts: Sequence[int], end: int) -> Iterator[tuple[int, int]]:
    return zip(starts, [*starts[1:], end], strict=True)


def line_units(
    text: str, start: int, end: int, section: Section, budget: int, header: str = "", within: bool = False
) -> list[Unit]:
    """HTML, source without a grammar: a unit a line, best cut after a gap and at the margin.

    `within` a block, whose edges are better places to cut.
    """
    units: list[Unit] = []
    count = counter()
    for at, stop in spans(line_starts(text, start, end), end):
        tokens = count(text[at:stop])
        if tokens <= budget:
            rank = _line_rank(text, at)
            units.append(Unit(at, tokens, rank if rank < PARTED or within else BLOCK, section, True, header))
        else:
            units += prose_units(text, at, stop, section, budget)
    return _opened(units, text, start)


def _opened(units: list[Unit], text: str, start: int) -> list[Unit]:
    """The first may begin with blank lines, and no header stands above it; all others begin with words."""
    if units[0].exact:
        units[0].exact, units[0].header = starts_exact(text, start), ""
    return units


def block_units(text: str, start: int, end: int, section: Section, budget: int, header: str = "") -> list[Unit]:
    """A fence, a table: lines that are no better a place to cut than the one before are counted with it, unless that
    makes pieces so large that few fill a chunk."""
    units: list[Unit] = []
    count, most = counter(), budget // _LARGEST_PIECE
    starts = [start, *[found.end() for found in _OPENING_LINE.finditer(text, start, end)]]
    for at, stop in spans(starts, end):
        tokens = count(text[at:stop])
        if tokens <= most:
            units.append(Unit(at, tokens, _line_rank(text, at), section, True, header))
        else:
            units += line_units(text, at, stop, section, budget, header, within=True)
    return _opened(units, text, start)


def _line_rank(text: str, at: int) -> int:
    rank = LINE if text[at].isspace() else MARGIN
    return rank + 1 if text[at - 2 : at] == "\n\n" else rank


def container_units(
    text: str, start: int, end: int, section: Section, budget: int, fences: Sequence[tuple[int, int]]
) -> list[Unit]:
    """A list or a quote: cut at items and after gaps, fences inside stay whole while they fit."""
    units: list[Unit] = []
    whole = {at for at, _ in fences}
    for at, stop in spans(list(_container_starts(text, start, end, fences)), end):
        tokens = counter()(text[at:stop])
        if tokens <= budget:
            units.append(Unit(at, tokens, ITEM, section, starts_exact(text, at)))
        else:
            cut = block_units if at in whole else prose_units
            units += cut(text, at, stop, section, budget)
    return units


def _container_starts(text: str, start: int, end: int, fences: Sequence[tuple[int, int]]) -> Iterator[int]:
    edges = {edge for fence in fences for edge in fence}
    waiting = iter([*fences, (end, end)])
    opened, closed = next(waiting)
    gap = True
    for at in line_starts(text, start, end):
        while closed <= at < end:
            opened, closed = next(waiting)
        if at in edges or (at < opened and (gap or _BULLET.match(text, at, end))):
            yield at
        line_end = text.find("\n", at, end)
        gap = text[line_end + 1 : line_end + 2] == "\n" or bool(_QUOTE_MARKS.match(text, at, line_end + 1))


def prose_units(text: str, start: int, end: int, section: Section, budget: int) -> list[Unit]:
    """Sentences; a sentence over the budget goes by words, a word over it by characters."""
    return _finer(text, start, end, section, budget, _SENTENCE_END, SENTENCE, _word_units)


def _word_units(text: str, start: int, end: int, section: Section, budget: int) -> list[Unit]:
    return _finer(text, start, end, section, budget, _WORD_END, WORD, _character_units)


_Cutter = Callable[[str, int, int, Section, int], list[Unit]]


def _finer(
    text: str, start: int, end: int, section: Section, budget: int, ends: re.Pattern[str], rank: int, finer: _Cutter
) -> list[Unit]:
    starts, least = [start], _SMALLEST_SENTENCE if rank == SENTENCE else 1
    for found in ends.finditer(text, start, end):
        if starts[-1] + least <= found.end() < end:
            starts.append(found.end())
    units: list[Unit] = []
    for at, stop in spans(starts, end):
        tokens = _tokens_in_context(text, at, stop)
        if tokens + INEXACT_ROOM > budget:
            units += finer(text, at, stop, section, budget)
        else:
            units.append(Unit(at, tokens, rank, section, exact=False))
    return units


def _tokens_in_context(text: str, start: int, end: int) -> int:
    if start and text[start - 1] == " " and text[end - 1] == " ":
        return max(counter()(text[start - 1 : end - 1]), 1)
    return counter()(text[start:end])


def _character_units(text: str, start: int, end: int, section: Section, budget: int) -> list[Unit]:
    """Runs of 16 to 64 characters closed by content; shorter where a character costs four tokens."""
    longest = min(_LONGEST_RUN, max((budget - INEXACT_ROOM) // 4, 1))
    shortest = min(_SMALLEST_RUN, longest)
    units: list[Unit] = []
    at = start
    while at < end:
        most = min(at + longest, end)
        stop = next((i + 1 for i in range(at + shortest - 1, most) if not ord(text[i]) & 7), most)
        units.append(Unit(at, counter()(text[at:stop]), WORD, section, exact=False))
        at = stop
    return units


def paragraph_units(text: str, start: int, end: int, section: Section, budget: int) -> list[Unit]:
    """One unit where it fits, sentences where it does not."""
    if end - start <= budget * 8:
        tokens = counter()(text[start:end])
        if tokens <= budget:
            return [Unit(start, tokens, BLOCK, section, starts_exact(text, start))]
    units = prose_units(text, start, end, section, budget)
    units[0].rank = BLOCK
    units[0].exact = starts_exact(text, start)
    return units
