"""The chunks facet: how a source's text is to be cut."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from libs.common.events.source import SourceType

ChunkKind = Literal["markdown", "code", "plain", "conversation"]


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
