"""Plain text becomes units: paragraphs, and sentences where a paragraph exceeds the budget."""

import re
from collections.abc import Iterator

from services.chunker.chunking.model import Section, Unit
from services.chunker.chunking.splitting import paragraph_units, spans

_PARAGRAPH_END = re.compile(r"\n(?:[ \t]*+\n)++")


def plain_units(text: str, budget: int) -> list[Unit]:
    section = Section()
    return [unit for at, stop in paragraphs(text) for unit in paragraph_units(text, at, stop, section, budget)]


def paragraphs(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """The paragraphs of this part of the text, each with the blank lines after it."""
    end = len(text) if end is None else end
    starts = [start, *(m.end() for m in _PARAGRAPH_END.finditer(text, start, end) if m.end() < end)]
    return spans(starts, end)
