"""Text of pages (a PDF, a printout) and of slides becomes units: a page or slide is a section that a link can open."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from services.chunker.chunking.markdown import part_units
from services.chunker.chunking.markdown_blocks import scan
from services.chunker.chunking.model import BLOCK, HARD, Section, Unit
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.plain import paragraphs
from services.chunker.chunking.splitting import paragraph_units, spans

_PAGE = BLOCK + 1  # a page ends where the paper does: a better place than a paragraph, no reason by itself
_RULE = re.compile(r"^---[ \t]*+$", re.MULTILINE)
_SETTINGS = re.compile(r"\n(?:[\w-]++:[^\n]*+\n(?:(?:[ \t]|- )[^\n]*+\n)*+)++")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[^\W\d_])")


def page_units(text: str, budget: int) -> list[Unit]:
    """Form feeds part pages, counted from one; a sentence may go on over a page's end."""
    units: list[Unit] = []
    for number, (start, end) in enumerate(spans(_after_form_feeds(text), len(text)), 1):
        section = Section((f"Page {number}",), f"page={number}")
        first = len(units)
        for at, stop in paragraphs(text, start, end):
            units += paragraph_units(text, at, stop, section, budget)
        units[first].rank, units[first].exact = _PAGE, units[first].exact and not start
    return units


def page_words(text: str) -> str:
    """A word that the end of a line cut in two is one word to search for."""
    return _HYPHEN.sub("", text)


def slide_units(text: str, budget: int) -> list[Unit]:
    """Form feeds part slides, or the rules of Marp and Slidev where there are none; each starts a chunk."""
    starts = _after_form_feeds(text) if "\f" in text else list(_rules(text))
    units: list[Unit] = []
    for number, (start, end) in enumerate(spans(starts, len(text)), 1):
        part, outline = text[start:end], Outline()
        outline.open(0, f"{_title(part) or f'Slide {number}'} {{#{number}}}")
        first = len(units)
        units += part_units(part, start, budget, outline)
        units[first].rank, units[first].exact = HARD, units[first].exact and text[start - 1 : start] != "\f"
    return units


def _after_form_feeds(text: str) -> list[int]:
    starts = [0]
    at = text.find("\f") + 1
    while 0 < at < len(text):
        starts.append(at)
        at = text.find("\f", at) + 1
    return starts


def _rules(text: str) -> Iterator[int]:
    """A slide opens with its rule, and with the settings that Slidev puts between that one and another."""
    yield 0
    fences = [fence for block in scan(text) for fence in block.fences]
    opened = -1  # the end of a rule that settings may follow
    for rule in _RULE.finditer(text):
        before = bisect_right(fences, (rule.start(), len(text))) - 1
        if before >= 0 and rule.start() < fences[before][1]:
            continue
        if opened >= 0 and _SETTINGS.fullmatch(text, opened, rule.start()):
            opened = -1
        elif not rule.start() or text.endswith("\n\n", 0, rule.start()):
            opened = rule.end()
            if rule.start():
                yield rule.start()


def _title(slide: str) -> str:
    """Its first heading, or else its first words."""
    blocks = [block for block in scan(slide) if block.kind not in ("front", "rule", "html", "jsx")]
    found = next((block.title for block in blocks if block.title), "")
    return found or next((slide[block.start : block.end].strip().partition("\n")[0] for block in blocks), "")
