"""The chunks facet: how a source's text is to be cut."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from libs.common.events.source import SourceType

# pages: text whose form feeds part pages (a PDF). records: CSV and TSV. conversation: comments, each a chunk of its
# own. thread: messages of a chat, which share chunks. services.chunker.chunking says how the last two are written.
ChunkKind = Literal[
    "markdown", "html", "code", "notebook", "plain", "pages", "slides", "records", "conversation", "thread"
]


class SourceText(msgspec.Struct, frozen=True, kw_only=True):
    """What the chunker read from the owner of sources."""

    type: SourceType
    name: str
    path: str | None
    content: str
    content_type: str
    metadata: dict[str, Any] = {}


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    kind: ChunkKind
    title: str
    path: str | None = None
    language: str | None = None
    skip: str | None = None  # why nothing of it is indexed (binary, generated, too large)


class ChunkFacet(Protocol):
    def layout(self, source: SourceText) -> Layout: ...
