"""How GitHub's sources are cut: conversations comment by comment, files by what they are."""

from __future__ import annotations

from libs.common.provider.chunks import ChunkFacet, ChunkKind, Layout, SourceText
from libs.common.provider.text_kinds import kind_of_file, skip_reason


class GithubChunks:
    def layout(self, source: SourceText) -> Layout:
        if source.type == "file":
            return _file(source)
        kind: ChunkKind = "markdown" if source.type == "repository" else "conversation"
        return Layout(kind=kind, title=source.name)


def _file(source: SourceText) -> Layout:
    path = source.path or source.name
    skip = source.metadata.get("skipped") or skip_reason(path)
    return Layout(kind=kind_of_file(path, source.content), title=path, path=path, skip=str(skip) if skip else None)


FACET: ChunkFacet = GithubChunks()
