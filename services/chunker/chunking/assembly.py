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
        self.units = _units(document, budget)
        self.ids = ChunkIds(document.source_id)

    def chunks(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        byte = 0
        for units, end, tokens in self._groups():
            text = self.text[units[0].start : end]
            size = len(text) if text.isascii() else len(text.encode())
            chunks.append(self._chunk(units, text, tokens, len(chunks), byte, byte + size))
            byte += size
        return chunks

    def _groups(self) -> Iterator[tuple[list[Unit], int, int]]:
        cuts = pack(self.units, self.text, self.budget)
        for first, last in zip(cuts, [*cuts[1:], len(self.units)], strict=True):
            end = self.units[last].start if last < len(self.units) else len(self.text)
            yield from self._within_budget(self.units[first:last], end)

    def _within_budget(self, units: list[Unit], end: int) -> Iterator[tuple[list[Unit], int, int]]:
        """Where pieces of a line were counted apart, the chunk is counted again and, rarely, halved."""
        if all(unit.exact for unit in units):
            yield units, end, sum(unit.tokens for unit in units)
            return
        tokens = counter()(self.text[units[0].start : end])
        if tokens <= self.budget or len(units) == 1:
            yield units, end, tokens
            return
        half = len(units) // 2
        yield from self._within_budget(units[:half], units[half].start)
        yield from self._within_budget(units[half:], end)

    def _chunk(self, units: list[Unit], text: str, tokens: int, ordinal: int, start: int, end: int) -> Chunk:
        section = next((unit.section for unit in units if unit.section.path), units[0].section)
        return Chunk(
            id=self.ids.next(section.path, text),
            ordinal=ordinal,
            anchor=section.anchor,
            heading_path=section.path,
            text=text,
            start_byte=start,
            end_byte=end,
            tokens=tokens,
            context=self._context(section.path, units[0].header),
        )

    def _context(self, path: tuple[str, ...], header: str) -> str:
        """Title, path inside the repository, headings: what the text alone does not say, bounded in length."""
        document = self.document
        title = document.title.strip()[:_LONGEST_TITLE]
        place = " > ".join(path)[-_LONGEST_CONTEXT:]
        return "\n".join(line for line in (title, (document.path or "")[-_LONGEST_CONTEXT:], place, header) if line)
