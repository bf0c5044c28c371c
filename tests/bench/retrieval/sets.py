"""Questions with their answers, and the passages among which they are to be found.

`headings.json.gz`: the heading of a section asks for the section, and is withheld from every passage of its own; the
headings that nobody asks with stay, ancestors too, as the set's own note says. A passage answers for a section if it
covers half of its body or is made of it by half. `commits.json.gz`: a commit's subject asks
for the files it changed. `questions.toml`: our own questions about docs/, answered by a page or one of its sections.
`held_out.toml`: written before a change of the ranking to judge it, about docs/ and about the passages of `headings`.
"""

from __future__ import annotations

import gzip
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from libs.common.provider.text_kinds import kind_of_file
from services.chunker.chunking import Chunk, Document
from services.chunker.chunking.languages import language_of
from services.chunker.chunking.model import ChunkKind, Part
from tests.bench.retrieval.scoring import Labels

ROOT = Path(__file__).resolve().parents[3]
QUESTIONS, HELD_OUT = (Path(__file__).with_name(f"{name}.toml") for name in ("questions", "held_out"))
FILES = ("docs_corpus.json.gz", "headings.json.gz", "code_corpus.json.gz", "commits.json.gz")

Cutter = Callable[[Document], Sequence[Chunk]]
Piece = TypeVar("Piece", Chunk, Part)


class Query(msgspec.Struct, frozen=True):
    text: str
    relevant: Labels
    any_of: bool = False


class Passage(msgspec.Struct, frozen=True):
    """`chunk` as it is indexed: what is withheld is missing in its text and context."""

    chunk: Chunk
    labels: Labels


class Page(msgspec.Struct, frozen=True):
    key: str
    path: str
    kind: ChunkKind
    passages: list[Passage]


class Collection(msgspec.Struct, frozen=True):
    """`by_file`: files are ranked, each by its best passage."""

    name: str
    pages: list[Page]
    queries: list[Query]
    by_file: bool = False


class Span(NamedTuple):
    """A section of a rendered page: where its heading and its body stand, in characters."""

    label: str
    path: tuple[str, ...]
    start: int
    body: int
    end: int


def headings(place: Path, cut: Cutter) -> Collection:
    sections: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for section in _read(place, "docs_corpus")["sections"]:
        sections[f"{section['repo']}/{section['path']}"].append(section)
    queries = _queries(_read(place, "headings"))
    asked = frozenset[str]().union(*(query.relevant for query in queries))
    pages = [_withheld_page(key, group, cut, asked) for key, group in sections.items()]
    return Collection("headings", pages, queries)


def guides(place: Path, cut: Cutter) -> Collection:
    """Held-out questions about the passages of `headings`."""
    labels: dict[str, set[str]] = defaultdict(set)
    for section in _read(place, "docs_corpus")["sections"]:
        labels[f"{section['path']}#{''.join(section['heading'][-1:])}"].add(str(section["id"]))
    return Collection("guides_held_out", headings(place, cut).pages, _asked(HELD_OUT, "guides", labels))


def commits(place: Path, cut: Cutter) -> Collection:
    files = _read(place, "code_corpus")["files"]
    pages = []
    for file in files:
        document = _document(file["path"], file["text"])
        found = [Passage(one, frozenset({str(file["id"])})) for one in cut(document)]
        pages.append(Page(f"{file['repo']}/{file['path']}", file["path"], document.kind, found))
    return Collection("commits", pages, _queries(_read(place, "commits")), by_file=True)


def own(cut: Cutter) -> Collection:
    pages, labels = _own(cut)
    return Collection("own", pages, _asked(QUESTIONS, "question", labels))


def own_held_out(cut: Cutter) -> Collection:
    pages, labels = _own(cut)
    return Collection("own_held_out", pages, _asked(HELD_OUT, "own", labels))


def _own(cut: Cutter) -> tuple[list[Page], dict[str, set[str]]]:
    pages: list[Page] = []
    known: set[str] = set()
    for file in sorted((ROOT / "docs").rglob("*.md")):
        path = str(file.relative_to(ROOT))
        text = file.read_text()
        spans = _spans_of_markdown(path, text)
        known |= {path} | {span.label for span in spans}
        pages.append(Page(path, path, "markdown", [
            Passage(chunk, labels | {path}) for chunk, labels in _labelled(cut(_document(path, text)), spans)
        ]))  # fmt: skip
    return pages, {label: {label} for label in known}


def _asked(file: Path, name: str, labels: Mapping[str, set[str]]) -> list[Query]:
    """Raises ValueError for an answer that the pages no longer hold."""
    asked = tomllib.loads(file.read_text())[name]
    if lost := {answer for one in asked for answer in one["answer"]} - labels.keys():
        raise ValueError(f"no such page or heading: {sorted(lost)}")
    answers = [frozenset[str]().union(*(labels[answer] for answer in one["answer"])) for one in asked]
    return [Query(one["ask"], answer, any_of=True) for one, answer in zip(asked, answers, strict=True)]


def _read(place: Path, name: str) -> Any:
    return msgspec.json.decode(gzip.decompress((place / f"{name}.json.gz").read_bytes()))


def _queries(found: Any) -> list[Query]:
    return [Query(one["query"], frozenset(map(str, one["relevant"]))) for one in found["queries"]]


def _document(path: str, text: str) -> Document:
    return Document(path, "file", path, path, kind_of_file(path, text), language_of(path), text)


def _withheld_page(key: str, sections: Sequence[dict[str, Any]], cut: Cutter, asked: Labels) -> Page:
    """Rendered as Markdown whatever it was written in: its structure is given, only the text is the page's own."""
    text, spans = "", []
    for section in sections:
        start = len(text)
        if section["heading"]:
            text += f"{'#' * min(len(section['heading']), 6)} {section['heading'][-1]}\n\n"
        body = len(text)
        text += section["text"]
        spans.append(Span(str(section["id"]), tuple(section["heading"]), start, body, len(text)))
        text += "\n\n"
    path = sections[0]["path"]
    document = Document(key, "file", path, path, "markdown", None, text)
    found = _labelled(cut(document), spans)
    starts = accumulate((len(chunk.text) for chunk, _ in found), initial=0)
    places = zip(found, starts, strict=False)
    return Page(
        key,
        path,
        "markdown",
        [Passage(_withheld(chunk, start, spans, asked), labels) for (chunk, labels), start in places],
    )


def _withheld(chunk: Chunk, start: int, spans: Sequence[Span], asked: Labels) -> Chunk:
    """Without the headings that ask, in the chunk and in each of its sections."""
    starts = accumulate((len(part.text) for part in chunk.parts), initial=start)
    pieces = zip(chunk.parts, starts, strict=False)
    parts = tuple(_piece_withheld(part, at, spans, asked) for part, at in pieces)
    return msgspec.structs.replace(_piece_withheld(chunk, start, spans, asked), parts=parts)


def _piece_withheld(piece: Piece, start: int, spans: Sequence[Span], asked: Labels) -> Piece:
    """Without the lines of the headings that ask; the path ends above such a section if the piece begins in it."""
    text, at, end = "", start, start + len(piece.text)
    for span in spans:
        if span.label in asked and span.start < end and span.body > at:
            text += piece.text[at - start : max(span.start, at) - start]
            at = min(max(span.body, at), end)
    text += piece.text[at - start :]
    begun = [span for span in spans if span.start <= start][-1:]
    path = piece.heading_path[: len(begun[0].path) - 1] if begun and begun[0].label in asked else piece.heading_path
    place = " > ".join(piece.heading_path)
    context = "\n".join(
        line for line in (" > ".join(path) if line == place else line for line in piece.context.split("\n")) if line
    )
    return msgspec.structs.replace(piece, text=text, heading_path=path, context=context)


def _labelled(chunks: Sequence[Chunk], spans: Sequence[Span]) -> list[tuple[Chunk, Labels]]:
    found = []
    start = 0
    for chunk in chunks:
        end = start + len(chunk.text)
        found.append((chunk, frozenset(_covered(start, end, spans))))
        start = end
    return found


def _covered(start: int, end: int, spans: Sequence[Span]) -> Iterator[str]:
    for span in spans:
        shared = min(end, span.end) - max(start, span.body)
        if shared > 0 and (2 * shared >= span.end - span.body or 2 * shared >= end - start):
            yield span.label


def _spans_of_markdown(path: str, text: str) -> list[Span]:
    """Of our own pages, whose headings are lines that begin with #, none of them inside a fence."""
    spans: list[Span] = []
    at, fenced = 0, False
    for line in text.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            if spans:
                spans[-1] = spans[-1]._replace(end=at)
            name = line.lstrip("#").strip()
            spans.append(Span(f"{path}#{name}", (name,), at, at + len(line), len(text)))
        at += len(line)
    return spans
