"""Pages of a real build, minified and not, as the reader sees them: what is said, and what is only around it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree, html
from markdown_it import MarkdownIt

from libs.common.sites.html import read_html
from libs.common.sites.pages import PageRead
from libs.providers.docusaurus.page import READER
from libs.providers.docusaurus.sandbox.archive import files, page_files

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
BASE = "https://configured.invalid/__base__/"
OWN_WORDS = {"docs/writing/admonitions", "docs/writing/code", "docs/writing/tabs"}  # kinds and titles are ours to place
DOCUMENTS = [path for path in page_files() if path.startswith("docs") and "category" not in path]


def read(path: str, body: bytes | None = None) -> PageRead:
    root = read_html(files()[page_files()[path]] if body is None else body)
    assert root is not None
    return READER.read(root, BASE + path)


def test_headings_carry_the_ids_of_the_site_as_anchors() -> None:
    content = read("docs/writing/code").content
    assert content.startswith("# Code {#}\n")
    assert "## `consume()` takes **one** message {#consume-one}" in content
    assert "## Twice {#twice}\n\nFirst.\n\n## Twice {#twice-1}\n\nSecond" in content
    assert "\u200b" not in content


def test_code_keeps_its_lines_language_and_title_and_no_line_numbers() -> None:
    content = read("docs/writing/code").content
    code = 'import requests\n\nprint("hello")\nif True:\n    print("  indented")'
    assert f'```python title="client.py"\n{code}\n```' in content
    assert "```\nno language\n```" in content
    assert "````markdown\n```python\nfenced inside\n```\n````" in content
    assert "``a`b``" in content


def test_table_rows_without_end_tags_stay_rows() -> None:
    content = read("docs/writing/tables").content
    assert (
        "| name | type | meaning |\n|---|---|---|\n| `version` | integer | grows with *every* change |\n"
        "| `proof` | text | why it is gone \\| or empty |" in content
    )


def test_nested_lists_and_boxes_keep_their_shape() -> None:
    content = read("docs/writing/tables").content
    assert (
        "2. Second step\n   - nested point\n   - another, with `code`\n\n     and a second paragraph\n3. Third"
        in content
    )
    assert "- [ ] to do\n- [x] done" in content
    assert "picture of a sluice in it, ~~struck~~ and a hard\nbreak." in content


def test_admonitions_are_quotations_with_kind_and_title() -> None:
    content = read("docs/writing/admonitions").content
    assert "> **Warning: Mind the lock**\n>\n> A warning of two paragraphs." in content
    assert "> **Tip**\n>\n> > **Info**\n> >\n> > An information inside a tip." in content
    assert "A note with a [link](/__base__/docs/writing/code) and `code`." in content


def test_folded_parts_and_hidden_tabs_are_read() -> None:
    assert (
        "**What is folded away**\n\nThe folded part is searchable: *sealed envelopes*."
        in read("docs/writing/admonitions").content
    )
    tabs = read("docs/writing/tabs").content
    assert "**Bash**\n\nOnly in the first panel" in tabs
    assert "**Fish shell**\n\nOnly in the hidden panel: `set -x SLUICE_KEK …`\n\n```fish" in tabs


def test_what_stands_around_the_text_is_not_read() -> None:
    for path in DOCUMENTS:
        content = read(path).content
        for around in ("Edit this page", "On this page", "Version: ", "Skip to main", "Last updated", "Breadcrumbs"):
            assert around not in content, path


def test_facts_of_the_page_come_from_its_head_and_foot() -> None:
    page = read("docs/writing/admonitions")
    assert (page.title, page.version, page.locale, page.latest) == ("Notes and warnings", "1.0", "en", True)
    assert page.canonical == f"{BASE}docs/writing/admonitions"
    assert page.metadata["breadcrumbs"] == ["Writing", "Notes and warnings"]
    assert page.metadata["description"] == "Notes, warnings and a folded part."
    assert page.metadata["lastUpdated"] == "2026-11-02T00:00:00.000Z"
    assert page.metadata["editUrl"].endswith("versioned_docs/version-1.0/writing/admonitions.mdx")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "document"), ("docs", "document"), ("docs/events", "document"),
        ("blog/2026/11/02/first-words", "document"),
        ("blog", "listing"), ("blog/archive", "listing"), ("blog/tags", "listing"), ("blog/tags/release", "listing"),
        ("docs/category/writing", "listing"), ("docs/next/category/writing", "listing"),
    ],
)  # fmt: skip
def test_only_pages_with_a_text_of_their_own_are_documents(path: str, kind: str) -> None:
    page = read(path)
    assert page.kind == kind
    assert bool(page.content) == (kind == "document")
    assert page.links


def test_blog_post_opens_with_its_title() -> None:
    assert read("blog/2026/11/02/first-words").content.startswith("# First words {#}\n\nThe first post: a lock keeper")


def test_unreleased_version_is_known_by_banner_and_folder() -> None:
    page = read("docs/next/next-only")
    assert (page.version, page.latest, page.version_path) == ("current", False, "/__base__/docs/next")
    assert read("docs/events").latest


def test_page_for_what_is_not_there_is_no_document() -> None:
    root = read_html(files()["404.html"])
    assert root is not None
    assert READER.read(root, f"{BASE}nowhere").kind == "missing"


def test_unlisted_page_is_not_to_be_indexed() -> None:
    assert not read("docs/writing/hidden").indexed
    assert read("docs/writing/code").indexed


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<title>Docs</title><p>made by somebody else", "foreign"),
        (b"<title>Sign in</title><form><input name=u><input type=PASSWORD name=p></form>", "login"),
        (b'<meta name=generator content="Docusaurus v3.10.2"><div id=__docusaurus></div>', "empty"),
        (b'<meta name=generator content="VitePress v1.6">', "foreign"),
    ],
)
def test_page_that_is_no_built_page_says_what_it_is(body: bytes, kind: str) -> None:
    assert read("", body).kind == kind


@pytest.mark.parametrize("name", ["admonitions", "code", "tables"])
def test_minified_page_reads_as_the_same_page_with_every_tag_written_out(name: str) -> None:
    whole = (FIXTURES / "whole_html" / f"{name}.html").read_bytes()
    assert b"data-rh=true>" not in whole
    assert read(f"docs/writing/{name}", whole) == read(f"docs/writing/{name}")


@pytest.mark.parametrize("path", sorted(set(DOCUMENTS) - OWN_WORDS - {f"docs/next{one[4:]}" for one in OWN_WORDS}))
def test_every_word_of_the_page_is_in_its_markdown_and_no_other(path: str) -> None:
    """markdown-it reads back what was written, so the two directions check each other."""
    written = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(read(path).content)
    assert words(html.fromstring(written)) == words(content_root(files()[page_files()[path]]))


def content_root(body: bytes) -> etree._Element:
    root = html.fromstring(body).xpath("//div[contains(@class, 'theme-doc-markdown')]")[0]
    for line in root.xpath(".//br"):
        line.tail = "\n" + (line.tail or "")
    for link in root.xpath(".//a[contains(@class, 'hash-link')]"):
        link.drop_tree()
    for image in root.xpath(".//img[@alt]"):
        image.tail = f" {image.get('alt')} {image.tail or ''}"
    return root


def words(root: etree._Element) -> Counter[str]:
    text = " ".join(str(part) for part in root.itertext())
    text = re.sub(r"\{#[\w.-]*\}|\[[ x]\]|\u200b", " ", text)
    return Counter(re.findall(r"\w+", text))


def written(html: str) -> PageRead:
    """A page that somebody wrote to harm us, in the frame of a real one."""
    frame = '<meta name="generator" content="Docusaurus v3.10.2"><div class="theme-doc-markdown"><h1>Title</h1>'
    root = read_html(f"{frame}{html}".encode())
    assert root is not None
    return READER.read(root, BASE + "docs/written")


@pytest.mark.parametrize(("inside", "said"), [("", ""), ("only words", "only words\n")])
def test_admonition_without_elements_keeps_its_words(inside: str, said: str) -> None:
    page = written(f'<div class="theme-admonition theme-admonition-tip">{inside}</div>')
    assert page.content.removeprefix("# Title {#}").lstrip("\n") == said


def test_nested_admonitions_do_not_multiply_what_they_hold() -> None:
    html = '<div class="theme-admonition"><i>note</i><div>' * 110 + "x<br>" * 5_000
    assert len(written(html).content) < 10 * len(html)
    direct = '<div class="theme-admonition"><i>note</i>' * 240 + "words"
    assert "words" in written(direct).content


def test_one_block_of_code_has_one_title() -> None:
    block = '<div class="theme-code-block"><div>{title}</div><div>{codes}</div></div>'
    page = written(block.format(title="client.py", codes="<pre>one</pre><pre>two</pre>"))
    assert page.content.endswith('```title="client.py"\none\n```\n\n```\ntwo\n```\n')
    html = block.format(title="<i>x</i>" * 1_000, codes="<pre>x</pre>" * 1_000)
    assert len(written(html).content) < 3 * len(html)
