"""From a document to its chunks: units by kind, packing, then ids, byte ranges and the context kept beside the text."""

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple

from services.chunker.chunking.code import Code, read_code
from services.chunker.chunking.conversations import conversation_units, thread_units
from services.chunker.chunking.html import HtmlPage
from services.chunker.chunking.ids import ChunkIds
from services.chunker.chunking.markdown import markdown_units
from services.chunker.chunking.model import Chunk, Document, Part, Unit
from services.chunker.chunking.notebook_json import read_notebook
from services.chunker.chunking.notebooks import NotebookPage
from services.chunker.chunking.packing import HEAD, pack
from services.chunker.chunking.pages import page_units, page_words, slide_units
from services.chunker.chunking.plain import plain_units
from services.chunker.chunking.records import record_units
from services.chunker.chunking.tokens import counter

SMALLEST_BUDGET = 16
_LONGEST_TITLE = 120
_LONGEST_CONTEXT = 400
_OF_SECTIONS = ("markdown", "html")


def chunk(document: Document, budget: int = 256) -> list[Chunk]:
    """The document's chunks in order; their texts join back to `document.text`, none has more than `budget` tokens."""
    if budget < SMALLEST_BUDGET:
        raise ValueError(f"a chunk needs a budget of at least {SMALLEST_BUDGET} tokens, not {budget}")
    if not document.text:
        return []
    return _Assembly(document, budget).chunks()


class _Read(NamedTuple):
    """Units and imports of a text, and what people read between two of its characters where that is not the text.

    `words_alone` make the ids and move the cuts where the rest changes though nobody edits it.
    """

    code: Code
    words: Callable[[int, int], str] | None = None
    words_alone: bool = False


def _read(document: Document, budget: int) -> _Read:
    text = document.text
    match document.kind:
        case "code":
            return _Read(read_code(text, document.language, budget))
        case "html":
            page = HtmlPage(text)
            return _Read(Code(page.units(budget)), page.words)
        case "notebook" if notebook := read_notebook(text):
            cells = NotebookPage(text, notebook)
            return _Read(Code(cells.units(budget)), cells.words, words_alone=True)
        case "pages":
            return _Read(Code(page_units(text, budget)), lambda start, end: page_words(text[start:end]))
        case kind:
            return _Read(Code(_UNITS[kind](text, budget)))


_UNITS: dict[str, Callable[[str, int], list[Unit]]] = {
    "markdown": markdown_units,
    "conversation": conversation_units,
    "thread": thread_units,
    "slides": slide_units,
    "records": record_units,
    "plain": plain_units,
    "notebook": plain_units,  # what is none after all
}


class _Assembly:
    def __init__(self, document: Document, budget: int) -> None:
        self.document, self.text, self.budget = document, document.text, budget
        (self.units, self.imports), self.words, self.words_alone = _read(document, budget)
        title, file = document.title.strip()[:_LONGEST_TITLE], (document.path or "")[-_LONGEST_CONTEXT:]
        self.place = "\n".join(line for line in (title, file) if line)
        self.contexts: dict[tuple[tuple[str, ...], str], str] = {}

    def chunks(self) -> list[Chunk]:
        ids, ascii = ChunkIds(self.document.source_id), self.text.isascii()
        chunks: list[Chunk] = []
        byte = 0
        for first, last, end, tokens in self._groups():
            opening = self.units[first]
            text = self.text[opening.start : end]
            section = opening.section
            if not section.path:
                section = next((unit.section for unit in self.units[first:last] if unit.section.path), section)
            start, byte = byte, byte + (len(text) if ascii else len(text.encode()))
            path = section.path
            context = self.contexts.get((path, opening.header)) or self._context(path, opening.header)
            if chunks and (used := self.imports.used_in(text)):
                context = f"{context}\n{used}"
            words = self.words(opening.start, end) if self.words else None
            id = ids.next(path, words if words and self.words_alone else text)
            parts = self._parts(first, last, end) if self.units[last - 1].section is not opening.section else ()
            chunks.append(
                Chunk(id, len(chunks), section.anchor, path, text, start, byte, tokens, context, words, parts)
            )
        return chunks

    def _parts(self, first: int, last: int, end: int) -> tuple[Part, ...]:
        """Of code none: what surrounds a definition tells what it is for."""
        if self.document.kind not in _OF_SECTIONS:
            return ()
        opening = self.units[first]
        parts: list[Part] = []
        for unit in self.units[first + 1 : last]:
            if unit.section is not opening.section:
                parts.append(self._part(opening, unit.start))
                opening = unit
        return (*parts, self._part(opening, end))

    def _part(self, opening: Unit, end: int) -> Part:
        path, header = opening.section.path, opening.header
        context = self.contexts.get((path, header)) or self._context(path, header)
        text = self.words(opening.start, end) if self.words else self.text[opening.start : end]
        return Part(path, context, text)

    def _groups(self) -> Iterator[tuple[int, int, int, int]]:
        """First unit of each chunk and the one after its last, where its text ends, its exact token count."""
        units = self.units
        totals = [0, *accumulate([unit.tokens for unit in units])]
        inexact = [0, *accumulate([not unit.exact for unit in units])]
        cuts = pack(units, self._heads, self.budget)
        for first, last in pairwise([*cuts, len(units)]):
            if inexact[first] == inexact[last]:
                yield first, last, self._end(last), totals[last] - totals[first]
            else:
                yield from self._recounted(first, last)

    def _heads(self, first: int, last: int) -> list[str]:
        if self.words and self.words_alone:
            return [self.words(self.units[i].start, self._end(i + 1))[:HEAD] for i in range(first, last)]
        text = self.text
        return [text[unit.start : unit.start + HEAD] for unit in self.units[first:last]]

    def _end(self, last: int) -> int:
        return self.units[last].start if last < len(self.units) else len(self.text)

    def _recounted(self, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
        """Where pieces of a line were counted apart, the chunk is counted again and, rarely, halved."""
        end = self._end(last)
        tokens = counter()(self.text[self.units[first].start : end])
        if tokens <= self.budget or last - first == 1:
            yield first, last, end, tokens
            return
        half = (first + last) // 2
        yield from self._recounted(first, half)
        yield from self._recounted(half, last)

    def _context(self, path: tuple[str, ...], header: str) -> str:
        """Title, path inside the repository, headings: what the text alone does not say, bounded in length."""
        headings = " > ".join(path)[-_LONGEST_CONTEXT:]
        context = "\n".join([line for line in (self.place, headings, header) if line])
        self.contexts[path, header] = context
        return context
