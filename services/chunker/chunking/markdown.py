"""Markdown, MDX and conversations become units: a heading stays with what follows it, every block is counted once."""

import re
from collections.abc import Iterator

from services.chunker.chunking.markdown_blocks import Block, scan
from services.chunker.chunking.model import BLOCK, GLUED, H1, HARD, Section, Unit
from services.chunker.chunking.outline import Outline, named_anchor
from services.chunker.chunking.splitting import container_units, line_units, prose_units, spans, starts_exact
from services.chunker.chunking.tokens import counter

_COMMENT = re.compile(
    r"^## (\S[^\n]* (?:commented|reviewed|replied) at \d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))[ \t]*$",
    re.MULTILINE,
)
# Characters a token: above the first a list is cut before it is counted, so that nothing is counted twice;
# above the second nothing can fit.
_LONG, _TOO_LONG = 4, 16
_LONGEST_HEADER = 300
# In a conversation the title stands above the comments, and headings inside a comment below its line.
_TITLE_LEVEL, _COMMENT_LEVEL = 0, 1


class _Reader:
    """Turns the blocks of one text into units.

    `lowered` is added to the level of its headings; `opening` is the level of a heading the text begins with.
    """

    def __init__(self, text: str, budget: int, outline: Outline, lowered: int = 0, opening: int = 1) -> None:
        self.text, self.budget, self.outline, self.lowered, self.opening = text, budget, outline, lowered, opening
        self.count = counter()
        self.units: list[Unit] = []
        self._named = ""
        self._glue_next = False

    def read(self) -> list[Unit]:
        text, units, budget, count = self.text, self.units, self.budget, self.count
        for block in scan(text):
            start, end = block.start, block.end
            if block.kind == "heading":
                self._read_heading(block)
            elif self._glue_next or text[start] == "<" or end - start > budget * _LONG:
                self._read_block(block)
            elif (tokens := count(text[start:end])) <= budget:  # most blocks end here
                self._named = ""
                units.append(Unit(start, tokens, BLOCK, self.outline.current, starts_exact(text, start)))
            else:
                units += self._pieces(block, self.outline.current)
        return units

    def _read_heading(self, block: Block) -> None:
        opens = block.start == 0 and (block.level == 1 or self.opening == _COMMENT_LEVEL)
        level = self.opening if opens and self.lowered else block.level + self.lowered
        section = self.outline.open(level, block.title, self._named)
        first = len(self.units)
        self.units += self._whole_or_pieces(block, section)
        self.units[first].rank = max(H1 + 1 - level, BLOCK + 1)
        if self._named:
            self.units[first - 1].section = section
        self._glued(first, then=True)
        self._named = ""

    def _read_block(self, block: Block) -> None:
        first = len(self.units)
        self.units += self._whole_or_pieces(block, self.outline.current)
        may_name = block.kind in ("html", "paragraph") and self.text[block.start] == "<"
        self._named = named_anchor(self.text[block.start : block.end]) if may_name else ""
        self._glued(first, then=bool(self._named))

    def _glued(self, second: int, then: bool) -> None:
        """A heading is never the last line of a chunk if what follows it fits beside it."""
        glue, self._glue_next = self._glue_next, then
        if not glue:
            return
        before, after = self.units[second - 1], self.units[second]
        if after.exact and before.exact and before.tokens + after.tokens <= self.budget:
            before.tokens += after.tokens
            before.rank = max(before.rank, after.rank)
            del self.units[second]
        elif after.rank <= BLOCK:
            after.rank = GLUED

    def _whole_or_pieces(self, block: Block, section: Section) -> list[Unit]:
        start, size = block.start, block.end - block.start
        container = block.kind in ("list", "quote")
        if size <= self.budget * (_LONG if container else _TOO_LONG):
            tokens = self.count(self.text[start : block.end])
            if tokens <= self.budget:
                return [Unit(start, tokens, BLOCK, section, starts_exact(self.text, start))]
        return self._pieces(block, section)

    def _pieces(self, block: Block, section: Section) -> list[Unit]:
        units = self._cut(block, section)
        units[0].rank = BLOCK
        return units

    def _cut(self, block: Block, section: Section) -> list[Unit]:
        text, start, end, budget = self.text, block.start, block.end, self.budget
        if block.kind in ("list", "quote"):
            return container_units(text, start, end, section, budget, block.fences)
        if block.kind in ("paragraph", "heading"):
            return prose_units(text, start, end, section, budget)
        return line_units(text, start, end, section, budget, _header(text, start) if block.kind == "table" else "")


def _header(text: str, start: int) -> str:
    end = text.find("\n", text.find("\n", start) + 1)
    return text[start:end].strip()[:_LONGEST_HEADER]


def markdown_units(text: str, budget: int) -> list[Unit]:
    return _Reader(text, budget, Outline()).read()


def conversation_units(text: str, budget: int) -> list[Unit]:
    """Every comment line starts a chunk; each comment is read on its own, so that an open fence ends with it."""
    outline = Outline()
    units: list[Unit] = []
    for start, end in _comments(text):
        first = len(units)
        part = text[start:end]
        opening = _COMMENT_LEVEL if _COMMENT.match(part) else _TITLE_LEVEL
        for unit in _Reader(part, budget, outline, lowered=1, opening=opening).read():
            unit.start += start
            units.append(unit)
        units[first].rank = HARD
    return units


def _comments(text: str) -> Iterator[tuple[int, int]]:
    starts = [m.start() for m in _COMMENT.finditer(text)]
    if not starts or starts[0]:
        starts.insert(0, 0)
    yield from spans(starts, len(text))
