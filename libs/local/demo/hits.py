"""Search answers as lines on a terminal: where the hit stands, and its words with the found ones marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from libs.local.client import Json

FOUND = "bold black on yellow"
KINDS = {"file": "cyan", "issue": "magenta", "pull_request": "green"}
LONGEST = 220


def drawn(hits: Sequence[Json], marked: str | None = None) -> RenderableType:
    """`marked` is the id of the chunk that was expected: it gets a tick."""
    if not hits:
        return Text("  nothing found", style="dim")
    return Group(*(part for number, hit in enumerate(hits, start=1) for part in _hit(number, hit, marked)))


def _hit(number: int, hit: Json, marked: str | None) -> Iterator[RenderableType]:
    source, chunk = hit["source"], hit["chunk"]
    head = Text(f"  {number}. ", style="dim")
    head.append(f"{source['type']:<13}", style=KINDS.get(source["type"], "blue"))
    head.append(source["path"] or source["name"], style="bold")
    if below := headings(source["name"], chunk["path"]):
        head.append(f"  {below}", style="dim")
    head.append(f"  {hit['score']:.2f}", style="dim")
    if marked is not None and chunk["id"] == marked:
        head.append("  ✓ expected", style="bold green")
    head.no_wrap, head.overflow = True, "ellipsis"
    yield head
    for highlight in hit["highlights"][:1]:
        yield Padding(_marked(highlight), (0, 0, 0, 6))
    if hit.get("explanation"):
        yield Padding(Text(explained(hit["explanation"]), style="dim"), (0, 0, 0, 6))


def explained(explanation: Json) -> str:
    """`lexical #1 0.60 × 1.00 (relay 3.1, outbox 2.2) + vector #4 0.40 × 0.71`"""
    words = ", ".join(f"{one['lexeme']} {one['score']:.1f}" for one in explanation["lexemes"])
    parts = []
    for leg in explanation["legs"]:
        rank = f"#{leg['rank']}" if leg["rank"] else "–"
        told = f" ({words})" if leg["leg"] == "lexical" and words else ""
        parts.append(f"{leg['leg']} {rank} {leg['weight']:.2f} × {leg['normalised']:.2f}{told}")
    return " + ".join(parts)


def headings(name: str, path: Sequence[str]) -> str:
    """Where in the source the chunk stands, without the title that is told already."""
    return " › ".join(part for part in path if not name.startswith(part.rstrip("… ")[:60]))


def _marked(highlight: Json) -> Text:
    """Around the first found word, on one line; positions are characters of the text."""
    text, ranges = highlight["text"], highlight["ranges"]
    start = max(0, (ranges[0][0] if ranges else 0) - 60)
    shown = Text("…" if start else "")
    at = start
    for begin, end in ranges:
        if end > start + LONGEST:
            break
        shown.append(_line(text[at:begin]))
        shown.append(text[begin:end], style=FOUND)
        at = end
    shown.append(_line(text[at : start + LONGEST]))
    shown.no_wrap, shown.overflow = True, "ellipsis"
    return shown


def _line(text: str) -> str:
    """Line breaks and indentation as single spaces."""
    words = " ".join(text.split())
    before = " " if text[:1].isspace() else ""
    after = " " if words and text[-1:].isspace() else ""
    return f"{before}{words}{after}"
