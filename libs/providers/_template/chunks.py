"""How Template's documents are cut: they are Markdown."""

from __future__ import annotations

from libs.common.provider.chunks import ChunkFacet, Layout, SourceText


class TemplateChunks:
    def layout(self, source: SourceText) -> Layout:
        return Layout(kind="markdown", title=source.name)


FACET: ChunkFacet = TemplateChunks()
