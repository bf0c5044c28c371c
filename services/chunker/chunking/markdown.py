"""Markdown and MDX become units: a heading stays with what follows it, every block is counted once."""

import msgspec

from services.chunker.chunking.markdown_blocks import Block, holds_table, scan
from services.chunker.chunking.markdown_jsx import is_module_code
from services.chunker.chunking.model import BLOCK, GLUED, H1, ITEM, LINE, Section, Unit
from services.chunker.chunking.outline import Outline, named_anchor
from services.chunker.chunking.splitting import block_units, container_units, line_units, prose_units, starts_exact
from services.chunker.chunking.tokens import counter

# Characters a token: above the first what has lines to cut at is cut before it is counted, so that nothing is counted
# twice; above the second not even prose fits.
_LONG, _TOO_LONG = 4, 7
_SHORT = 2  # a block of fewer characters than half the tokens of a budget waits for the next
_LONGEST_HEADER = 300
# In a conversation the title stands above the comments, and headings inside a comment below its line.
TITLE_LEVEL, COMMENT_LEVEL = 0, 1


class _Reader:
    """Turns the blocks of one text into units.

    Headings and blocks too short to stand alone wait for the next block and are counted with it: a heading is never
    the last line of a chunk, `like this:` stays with its example, and there is less to count.
    `lowered` is added to the level of headings; `opening` is the level of a heading the text begins with.
    """

    def __init__(self, text: str, budget: int, outline: Outline, lowered: int = 0, opening: int = 1) -> None:
        self.text, self.budget, self.outline, self.lowered, self.opening = text, budget, outline, lowered, opening
        self.count = counter()
        self.units: list[Unit] = []
        self.section = self.owner = outline.current  # where blocks stand; where the waiting unit does
        self.waiting, self.rank = -1, BLOCK  # start of what waits, if anything
        self.bare = False  # whether only headings wait
        self.named = ""

    def read(self) -> list[Unit]:
        text, budget, count, units = self.text, self.budget, self.count, self.units
        short, long = budget // _SHORT, budget * _LONG
        for block in scan(text):
            if block.kind == "heading":
                self._read_heading(block)
                continue
            if self.waiting < 0:
                self.waiting, self.rank, self.owner = block.start, BLOCK, self.section
            start, end = self.waiting, block.end
            if end - start > long or text[block.start] == "<":
                self._read_block(block)
            elif end - start < short:
                self.bare, self.named = False, ""
            elif (tokens := count(text[start:end])) <= budget:
                exact = text[start] > " " or starts_exact(text, start)
                units.append(Unit(start, tokens, self.rank, self.owner, exact))
                self.waiting, self.bare, self.named = -1, False, ""
            else:
                self._read_pieces(block)
        self._flush(len(text))
        return self.units

    def _add(self, start: int, tokens: int) -> None:
        exact = self.text[start] > " " or starts_exact(self.text, start)
        self.units.append(Unit(start, tokens, self.rank, self.owner, exact))
        self.waiting, self.bare, self.named = -1, False, ""

    def _read_heading(self, block: Block) -> None:
        opens = block.start == 0 and (block.level == 1 or self.opening == COMMENT_LEVEL)
        level = self.opening if opens and self.lowered else block.level + self.lowered
        self.section = self.outline.open(level, block.title, self.named)
        rank = max(H1 + 1 - level, BLOCK + 1)
        if not self.bare:
            if self.waiting >= 0:
                self._flush(block.start)
            self.waiting, self.rank, self.owner, self.bare = block.start, rank, self.section, True
        elif self.named:
            self.rank, self.owner = rank, self.section
        else:
            self.rank = max(self.rank, rank)
        self.named = ""
        if block.end - self.waiting > self.budget * _LONG:
            self._flush(block.end)

    def _read_block(self, block: Block) -> None:
        """What needs a closer look: an anchor before a heading, a block that may not fit."""
        alone = self.waiting == block.start
        name = named_anchor(self.text[block.start : block.end]) if alone and block.kind in _MAY_NAME else ""
        if name:
            self.named, self.bare = name, True
            return
        if block.end - self.waiting <= self.budget * (_TOO_LONG if block.kind == "paragraph" else _LONG):
            tokens = self.count(self.text[self.waiting : block.end])
            if tokens <= self.budget:
                self._add(self.waiting, tokens)
                return
        self._read_pieces(block)

    def _read_pieces(self, block: Block) -> None:
        if block.kind in _UNDIVIDED:
            block = msgspec.structs.replace(block, start=_first_line(self.text, block))
        glued = self.bare
        opening = self._flush(block.start)
        pieces = self._whole(block, self._cut(block))
        pieces[0].rank = GLUED if glued else BLOCK
        if opening and pieces[0].exact and opening.tokens + pieces[0].tokens <= self.budget:
            opening.tokens += pieces.pop(0).tokens
        self.units += pieces

    def _whole(self, block: Block, pieces: list[Unit]) -> list[Unit]:
        """What was cut because it is long fits after all: the counts of lines add up. Or it does without the blanks
        after it: they may stand apart, the inside of a fence may not."""
        tokens = sum(piece.tokens for piece in pieces)
        if not all(piece.exact for piece in pieces):
            return pieces
        if tokens <= self.budget:
            pieces[0].tokens = tokens
            return pieces[:1]
        end = block.start + len(self.text[block.start : block.end].rstrip()) + 1
        if block.kind not in _UNDIVIDED or tokens - (block.end - end) > self.budget:
            return pieces
        tokens = self.count(self.text[block.start : end])
        if tokens > self.budget or end >= block.end:
            return pieces
        blanks = self.count(self.text[end : block.end])
        return [Unit(block.start, tokens, BLOCK, self.section), Unit(end, blanks, BLOCK, self.section, exact=False)]

    def _flush(self, end: int) -> Unit | None:
        """What waits becomes a unit that ends at `end`; returned if it adds up with what may follow."""
        start = self.waiting
        if not 0 <= start < end:
            self.waiting, self.bare = -1, False
            return None
        tokens = self.count(self.text[start:end])
        if tokens <= self.budget:
            self._add(start, tokens)
            return self.units[-1] if self.units[-1].exact else None
        pieces = line_units(self.text, start, end, self.owner, self.budget)
        pieces[0].rank = self.rank
        self.units += pieces
        self.waiting, self.bare = -1, False
        return None

    def _cut(self, block: Block) -> list[Unit]:
        text, start, end, budget, section = self.text, block.start, block.end, self.budget, self.section
        if block.kind in _DIVISIBLE:
            return container_units(text, start, end, section, budget, block.fences)
        if block.kind == "paragraph" and not (holds_table(text, start, end) or is_module_code(text, start)):
            return prose_units(text, start, end, section, budget)
        if block.kind != "table":
            return block_units(text, start, end, section, budget)
        rows = block_units(text, start, end, section, budget, _header(text, start))
        for row in rows:
            row.rank = max(row.rank, ITEM) if row.rank >= LINE else row.rank
        return rows


_MAY_NAME = ("html", "paragraph")
_DIVISIBLE = ("list", "quote")
_UNDIVIDED = ("fence", "code", "html", "jsx")


def _first_line(text: str, block: Block) -> int:
    """Where the block itself begins: blank lines at the start of a text belong to its first block."""
    blank = len(text[block.start : block.end]) - len(text[block.start : block.end].lstrip())
    return text.rfind("\n", block.start, block.start + blank) + 1 or block.start


def _header(text: str, start: int) -> str:
    end = text.find("\n", text.find("\n", start) + 1)
    return text[start:end].strip()[:_LONGEST_HEADER]


def markdown_units(text: str, budget: int) -> list[Unit]:
    return _Reader(text, budget, Outline()).read()


def cell_units(cell: str, budget: int, outline: Outline) -> list[Unit]:
    """A cell of a notebook: read on its own, its headings go on from those of the cells before."""
    return _Reader(cell, budget, outline).read()


def part_units(part: str, at: int, budget: int, outline: Outline, opening: int = TITLE_LEVEL) -> list[Unit]:
    """A comment, a message, a slide: read on its own, so that a fence left open ends with it; `at` is where it stands.

    Its headings rank one below those of the document; `opening` is the level of a heading it begins with.
    """
    units = _Reader(part, budget, outline, lowered=1, opening=opening).read()
    for unit in units:
        unit.start += at
    return units


def whole_or_parts(part: str, at: int, budget: int, section: Section, outline: Outline) -> list[Unit]:
    """A slide, a message: one unit if it fits, else what `part_units` makes of it below the section that is open."""
    if len(part) <= budget * _TOO_LONG and (tokens := counter()(part)) <= budget:
        return [Unit(at, tokens, BLOCK, section, starts_exact(part, 0))]
    return part_units(part, at, budget, outline)
