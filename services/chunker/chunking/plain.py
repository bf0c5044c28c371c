"""Plain text becomes units: paragraphs, and sentences where a paragraph exceeds the budget."""

import re

from services.chunker.chunking.model import Section, Unit
from services.chunker.chunking.splitting import paragraph_units, spans

_PARAGRAPH_END = re.compile(r"\n(?:[ \t]*+\n)++")


def plain_units(text: str, budget: int) -> list[Unit]:
    section = Section()
    starts = [0, *(m.end() for m in _PARAGRAPH_END.finditer(text) if m.end() < len(text))]
    units: list[Unit] = []
    for start, end in spans(starts, len(text)):
        units += paragraph_units(text, start, end, section, budget)
    return units
