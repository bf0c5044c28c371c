"""HTML source becomes units: by its headings and their ids, whole rows, items and preformatted text, words apart.

Byte ranges are of the source as it is stored, so a chunk's text holds its tags; `words` is what a reader sees of it.
One pass over the tags, no tree: every expression is possessive and whatever never closes reaches to the end, so that a
hostile page takes time in proportion to its length.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

from services.chunker.chunking.model import BLOCK, H1, ITEM, Section, Unit
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.splitting import line_units, prose_units, starts_exact
from services.chunker.chunking.tokens import counter

_VALUE = r"(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?)?"
_TAG = re.compile(rf"<(/?)([A-Za-z][^\s/>]*+)((?:[\s/]++|[^\s/>][^\s/>=]*+{_VALUE})*+)>")
_OPENS_TAG = re.compile(r"</?[A-Za-z]")
_NAME = re.compile(r"\s(?:id|name)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))", re.IGNORECASE)
_UNREAD = {name: re.compile(rf"</{name}\b[^>]*+>?", re.IGNORECASE) for name in ("script", "style", "template")}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ITEMS = frozenset(("li", "dt", "dd", "tr"))
_BLOCKS = frozenset(
    "address article aside blockquote body details dialog div dl fieldset figcaption figure footer form head header hr "
    "html main menu nav ol p pre section summary table tbody tfoot thead title ul".split()
)
_BREAKS = _BLOCKS | _ITEMS | _HEADINGS.keys() | {"br", "td", "th"}
_LONGEST_HEADER = 300


class _Place(NamedTuple):
    """Where a piece of the page starts; `lines` says that it is cut at lines if it must be."""

    start: int
    rank: int
    section: Section
    header: str = ""
    lines: bool = False


class HtmlPage:
    def __init__(self, text: str) -> None:
        self.text = text
        self.places = [_Place(0, BLOCK, Section())]
        self._outline = Outline()
        self._starts: list[int] = []  # of the runs of text that people see, and
        self._runs: list[tuple[int, str]] = []  # their ends, and what parts each from the one before
        self._part = ""
        self._heading: tuple[int, int, str] | None = None  # start, level and id of the one that is open
        self._named = ""  # the id of what was opened last, if no text followed
        self._within = ""  # "pre" or "tr": nothing inside is a place to cut
        self._row, self._header = -1, ""  # where the open row starts; the first row of the table
        self._read()

    def units(self, budget: int) -> list[Unit]:
        units: list[Unit] = []
        ends = [place.start for place in self.places[1:]] + [len(self.text)]
        for group in _groups(self.places, ends, budget // 2):
            units += self._group_units(group, budget)
        return units

    def words(self, start: int, end: int) -> str:
        """What people see of this part of the source."""
        first, last = max(bisect_right(self._starts, start) - 1, 0), bisect_right(self._starts, end - 1)
        if first >= last:
            return ""
        seen: list[str] = []
        for i in range(first, last):
            at, (stop, part) = self._starts[i], self._runs[i]
            seen += (part, unescape(self.text[max(at, start) : max(min(stop, end), start)]).replace("\n", " "))
        return "\n".join(line for line in (" ".join(line.split()) for line in "".join(seen).split("\n")) if line)

    def _read(self) -> None:
        text, at = self.text, 0
        while True:
            opened = text.find("<", at)
            if opened < 0:
                break
            self._see(at, opened)
            at = self._read_markup(opened)
        self._see(at, len(text))
        self._close_heading(len(text))

    def _read_markup(self, at: int) -> int:
        """Where what starts with `<` ends: a tag with all that nobody reads of its element, a comment, or the sign."""
        text = self.text
        if text.startswith("<!--", at):
            return _past(text, "-->", at + 4)
        if text.startswith(("<!", "<?"), at):
            return _past(text, ">", at)
        tag = _TAG.match(text, at)
        if tag is None:
            end = len(text) if _OPENS_TAG.match(text, at) else at + 1
            self._see(at, end)
            return end
        name = tag[2].lower()
        if name in _UNREAD and not tag[1]:
            closed = _UNREAD[name].search(text, tag.end())
            self._place(at, BLOCK, lines=True)
            return closed.end() if closed else len(text)
        self._read_tag(name, bool(tag[1]), tag)
        return tag.end()

    def _read_tag(self, name: str, closes: bool, tag: re.Match[str]) -> None:
        if name in _BREAKS:
            self._part = "\n"
        if closes:
            self._close(name, tag)
        elif name in _HEADINGS:
            self._close_heading(tag.start())
            self._heading = tag.start(), _HEADINGS[name], _id(tag) or self._named
        else:
            self._open(name, tag)

    def _open(self, name: str, tag: re.Match[str]) -> None:
        found = _id(tag)
        if found and self._heading and not self._heading[2]:
            self._heading = (*self._heading[:2], found)
        self._named = found or self._named
        if name == "table":
            self._header = ""
        if name in _BLOCKS or name in _ITEMS:
            self._place(tag.start(), ITEM if name in _ITEMS else BLOCK, lines=name == "pre", follows=name == "tr")
        if name in ("pre", "tr") and self._within != "pre":
            self._within, self._row = name, tag.start()

    def _close(self, name: str, tag: re.Match[str]) -> None:
        if name in _HEADINGS:
            self._close_heading(tag.end())
        if self._within and (name == self._within or name == "table"):
            if self._within == "tr" and not self._header:
                self._header = self.words(self._row, tag.end()).replace("\n", " | ")[:_LONGEST_HEADER]
            self._within = ""
        if name in _BLOCKS or name in _ITEMS:
            self._place(tag.end(), BLOCK if name in _BLOCKS else ITEM)

    def _close_heading(self, end: int) -> None:
        if self._heading is None:
            return
        start, level, name = self._heading
        self._heading, self._named = None, ""
        title = self.words(start, end).replace("\n", " ")
        section = self._outline.open(level, f"{title} {{#{''.join(name.split())}}}")
        self._put(_Place(start, H1 + 1 - level, section))

    def _place(self, at: int, rank: int, *, lines: bool = False, follows: bool = False) -> None:
        if not self._heading and (not self._within or (follows and self._within == "tr")):
            header = self._header if follows else ""
            self._put(_Place(at, rank, self._outline.current, header, lines))

    def _put(self, place: _Place) -> None:
        if place.start >= len(self.text):
            return
        if self.places[-1].start == place.start:
            place = place._replace(rank=max(place.rank, self.places[-1].rank))
            self.places.pop()
        self.places.append(place)

    def _see(self, start: int, end: int) -> None:
        if start < end and self._runs and self._runs[-1][0] == start and not self._part:
            self._runs[-1] = end, self._runs[-1][1]
        elif start < end:
            self._starts.append(start)
            self._runs.append((end, self._part))
            self._part = ""
            if not self.text[start:end].isspace():
                self._named = ""

    def _group_units(self, group: list[tuple[_Place, int]], budget: int) -> list[Unit]:
        """The pieces together if they fit, else each for itself, and cut if even that does not."""
        first, end = group[0][0], group[-1][1]
        tokens = counter()(self.text[first.start : end])
        if tokens <= budget:
            return [Unit(first.start, tokens, first.rank, first.section, self._exact(first.start), first.header)]
        if len(group) > 1:
            return [unit for piece in group for unit in self._group_units([piece], budget)]
        cut = line_units if first.lines else prose_units
        units = cut(self.text, first.start, end, first.section, budget)
        units[0].rank, units[0].exact = first.rank, self._exact(first.start) and units[0].exact
        return units

    def _exact(self, start: int) -> bool:
        return (not start or self.text[start - 1] == "\n") and starts_exact(self.text, start)


def _groups(places: list[_Place], ends: list[int], least: int) -> Iterator[list[tuple[_Place, int]]]:
    """Pieces too short to stand alone go with those before them; a heading begins anew and takes what follows."""
    group: list[tuple[_Place, int]] = []
    for place, end in zip(places, ends, strict=True):
        size = place.start - group[0][0].start if group else 0
        bare = len(group) == 1 and group[0][0].rank > BLOCK
        if group and (place.rank > BLOCK or (size >= least and not bare)):
            yield group
            group = []
        group.append((place, end))
    yield group


def _past(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return found + len(mark) if found >= 0 else len(text)


def _id(tag: re.Match[str]) -> str:
    found = _NAME.search(tag[3])
    return next((value for value in found.groups() if value), "") if found else ""
