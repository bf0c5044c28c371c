"""From a document to its chunks: units by kind, packing, then ids, byte ranges and the context kept beside the text."""

from collections.abc import Iterator

from services.chunker.chunking.code import code_units
from services.chunker.chunking.ids import ChunkIds
from services.chunker.chunking.markdown import conversation_units, markdown_units
from services.chunker.chunking.model import Chunk, Document, Unit
from services.chunker.chunking.packing import pack
from services.chunker.chunking.plain import plain_units
from services.chunker.chunking.tokens import counter

SMALLEST_BUDGET = 16
_LONGEST_TITLE = 120
_LONGEST_CONTEXT = 400


def chunk(document: Document, budget: int = 256) -> list[Chunk]:
    """The document's chunks in order; their texts join back to `document.text`, none has more than `budget` tokens."""
    if budget < SMALLEST_BUDGET:
        raise ValueError(f"a chunk needs a budget of at least {SMALLEST_BUDGET} tokens, not {budget}")
    if not document.text:
        return []
    return _Assembly(document, budget).chunks()


def _units(document: Document, budget: int) -> list[Unit]:
    match document.kind:
        case "markdown":
            return markdown_units(document.text, budget)
        case "conversation":
            return conversation_units(document.text, budget)
        case "code":
            return code_units(document.text, document.language, budget)
        case "plain":
            return plain_units(document.text, budget)


class _Assembly:
    def __init__(self, document: Document, budget: int) -> None:
        self.document, self.text, self.budget = document, document.text, budget
        self.ascii = document.text.isascii()
        self.units = _units(document, budget)
        self.contexts: dict[tuple[tuple[str, ...], str], str] = {}

    def chunks(self) -> list[Chunk]:
        ids = ChunkIds(self.document.source_id)
        chunks: list[Chunk] = []
        byte = 0
        for units, end, tokens in self._groups():
            text = self.text[units[0].start : end]
            section = units[0].section
            if not section.path:
                section = next((unit.section for unit in units if unit.section.path), section)
            start, byte = byte, byte + (len(text) if self.ascii else len(text.encode()))
            path, context = section.path, self._context(section.path, units[0].header)
            id = ids.next(path, text)
            chunks.append(Chunk(id, len(chunks), section.anchor, path, text, start, byte, tokens, context))
        return chunks

    def _groups(self) -> Iterator[tuple[list[Unit], int, int]]:
        """The units of each chunk, where its text ends, its exact token count."""
        units = self.units
        cuts = pack(units, self.text, self.budget)
        for first, last in zip(cuts, [*cuts[1:], len(units)], strict=True):
            end = units[last].start if last < len(units) else len(self.text)
            tokens = 0
            for unit in units[first:last]:
                if not unit.exact:
                    yield from self._recounted(units[first:last], end)
                    break
                tokens += unit.tokens
            else:
                yield units[first:last], end, tokens

    def _recounted(self, units: list[Unit], end: int) -> Iterator[tuple[list[Unit], int, int]]:
        """Where pieces of a line were counted apart, the chunk is counted again and, rarely, halved."""
        tokens = counter()(self.text[units[0].start : end])
        if tokens <= self.budget or len(units) == 1:
            yield units, end, tokens
            return
        half = len(units) // 2
        yield from self._recounted(units[:half], units[half].start)
        yield from self._recounted(units[half:], end)

    def _context(self, path: tuple[str, ...], header: str) -> str:
        """Title, path inside the repository, headings: what the text alone does not say, bounded in length."""
        known = self.contexts.get((path, header))
        if known is None:
            title = self.document.title.strip()[:_LONGEST_TITLE]
            file = (self.document.path or "")[-_LONGEST_CONTEXT:]
            place = " > ".join(path)[-_LONGEST_CONTEXT:]
            known = "\n".join(line for line in (title, file, place, header) if line)
            self.contexts[path, header] = known
        return known
