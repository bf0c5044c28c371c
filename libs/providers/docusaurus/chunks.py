"""How a page is cut: by its headings, whose anchors are the site's own."""

from __future__ import annotations

from libs.common.provider.chunks import ChunkFacet, Layout, SourceText


class DocusaurusChunks:
    def layout(self, source: SourceText) -> Layout:
        return Layout(kind="markdown", title=source.name, path=source.path)


FACET: ChunkFacet = DocusaurusChunks()
