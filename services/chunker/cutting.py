"""One source's text → chunks, words to index and summaries, as its provider says it is to be cut."""

from __future__ import annotations

from collections.abc import Callable

from libs.common.internal import SourceItem
from libs.common.provider.chunks import ChunkFacet, Layout, SourceText
from services.chunker.chunking import Chunk, Document, chunk
from services.chunker.domain.indexing import Cut, Summary
from services.chunker.lexical import normalise_for_index
from services.chunker.summarising import section_summaries

FacetOf = Callable[[str], ChunkFacet]


def cut(item: SourceItem, facet_of: FacetOf, budget: int) -> Cut:
    """Pure and CPU-bound. Raises what the provider's layout or our own cutter raises."""
    layout = facet_of(item.provider).layout(_text(item))
    if layout.skip or not item.content:
        return Cut(item=item, skipped=layout.skip or "empty")
    document = _document(item, layout)
    chunks = tuple(chunk(document, budget=budget))
    return Cut(
        item=item,
        chunks=chunks,
        indexed_texts=tuple(normalise_for_index(f"{one.context}\n{one.text}") for one in chunks),
        summaries=_summaries(layout, chunks),
    )


def _summaries(layout: Layout, chunks: tuple[Chunk, ...]) -> tuple[Summary, ...]:
    """The source first, then its top sections. Code has no sentences to choose from: its outline is its anchors."""
    if layout.kind == "code":
        return ()
    anchors = {one.id: one.anchor for one in chunks}
    return tuple(
        Summary(
            ordinal=ordinal,
            anchor=anchors[section.chunk_ids[0]] if section.heading_path else "",
            heading=" › ".join(section.heading_path) or layout.title,
            text=section.summary,
            chunk_ids=section.chunk_ids,
        )
        for ordinal, section in enumerate(section_summaries(chunks))
    )


def _text(item: SourceItem) -> SourceText:
    assert item.type is not None  # noqa: S101 - a present source has a type
    return SourceText(
        type=item.type,
        name=item.name,
        path=item.path,
        content=item.content,
        content_type=item.content_type,
        metadata=item.metadata,
    )


def _document(item: SourceItem, layout: Layout) -> Document:
    return Document(
        source_id=item.id,
        type=item.type or "",
        title=layout.title,
        path=layout.path,
        kind=layout.kind,
        language=layout.language,
        text=item.content,
    )
