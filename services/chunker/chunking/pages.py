"""Text of pages (a PDF, a printout) and of slides becomes units: a page or slide is a section that a link can open."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from services.chunker.chunking.markdown import whole_or_parts
from services.chunker.chunking.markdown_blocks import scan
from services.chunker.chunking.model import BLOCK, H1, Section, Unit
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.plain import paragraphs, plain_units
from services.chunker.chunking.splitting import paragraph_units, spans

_PAGE = BLOCK + 1  # a page ends where the paper does: a better place than a paragraph, no reason by itself
_SLIDE = H1
_MOST = 10_000  # pages or slides: with more form feeds than that they part something else
_RULE = re.compile(r"^---[ \t]*+$", re.MULTILINE)
_SETTINGS = re.compile(r"\n(?:[\w-]++:[^\n]*+\n(?:(?:[ \t]|- )[^\n]*+\n)*+)++")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[^\W\d_])")


def page_units(text: str, budget: int) -> list[Unit]:
    """Form feeds part pages, counted from one; a sentence may go on over a page's end."""
    if text.count("\f") > _MOST:
        return plain_units(text, budget)
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
    """Form feeds part slides, or the rules of Marp and Slidev where there are none; one that fits is never cut."""
    starts = _after_form_feeds(text) if "\f" in text else list(_rules(text))
    if len(starts) > _MOST:
        return plain_units(text, budget)
    units: list[Unit] = []
    for number, (start, end) in enumerate(spans(starts, len(text)), 1):
        part, outline = text[start:end], Outline()
        section = outline.open(0, f"{_title(part) or f'Slide {number}'} {{#{number}}}")
        slide = whole_or_parts(part, start, budget, section, outline)
        slide[0].rank, slide[0].exact = _SLIDE, slide[0].exact and text[start - 1 : start] != "\f"
        units += slide
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
