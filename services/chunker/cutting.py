"""One source's text → chunks, words to index and summaries, as its provider says it is to be cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from libs.common.internal import SourceItem
from libs.common.provider.chunks import ChunkFacet, Layout, SourceText
from services.chunker.chunking import Chunk, Document, chunk
from services.chunker.chunking.languages import language_of
from services.chunker.domain.indexing import Cut
from services.chunker.embedding.passages import passages_of
from services.chunker.lexical import normalise_for_index
from services.chunker.summarising import Node, Written, code_outline, outline_node, source_tree, summarise

FacetOf = Callable[[str], ChunkFacet]
NOTHING_KNOWN: Mapping[str, Written] = {}


def cut(item: SourceItem, facet_of: FacetOf, budget: int, known: Mapping[str, Written] = NOTHING_KNOWN) -> Cut:
    """Pure and CPU-bound; `known` are summaries made before, by the hash of their input.

    Raises what the provider's layout or our own cutter raises.
    """
    layout = facet_of(item.provider).layout(_text(item))
    if layout.skip or not item.content:
        return Cut(item=item, skipped=layout.skip or "empty")
    document = _document(item, layout)
    # Of a picture inside a notebook, a script of a page, nobody reads a word: nothing to find or to embed.
    chunks = tuple(one for one in chunk(document, budget=budget) if one.words != "")
    if not chunks:
        return Cut(item=item, skipped="empty")
    return Cut(
        item=item,
        chunks=chunks,
        indexed_texts=tuple(normalise_for_index(f"{one.context}\n{one.readable}") for one in chunks),
        passages=tuple(passages_of(document.kind, one) for one in chunks),
        summaries=_summaries(document, layout.title, chunks, known),
    )


def _summaries(
    document: Document, title: str, chunks: tuple[Chunk, ...], known: Mapping[str, Written]
) -> tuple[Node, ...]:
    """The source first. Code has no sentences to choose from: its outline is its summary."""
    if document.kind == "code":
        outline = code_outline(document.text, document.language)
        return outline_node(document.source_id, title, chunks, outline, known)
    return source_tree(document.source_id, title, chunks, summarise, known)


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
        language=layout.language or language_of(layout.path or item.name),
        text=item.content,
    )
