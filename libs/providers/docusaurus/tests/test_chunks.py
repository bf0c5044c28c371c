"""A page is laid out by its headings under its own title and path."""

from __future__ import annotations

from libs.common.provider.chunks import SourceText
from libs.providers.docusaurus.chunks import FACET


def test_page_is_markdown_under_its_title() -> None:
    source = SourceText(
        type="page", name="Code", path="/docs/code", content="# Code {#}\n", content_type="text/markdown"
    )
    layout = FACET.layout(source)
    assert (layout.kind, layout.title, layout.path, layout.skip) == ("markdown", "Code", "/docs/code", None)
