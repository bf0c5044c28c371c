"""The tree of summaries: made from what is below, bounded in width, kept where nothing changed; its words are text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from services.chunker.domain.summaries import place_of, span, split
from services.chunker.summarising import Node, Written, as_text, code_outline, source_tree, summarise
from services.chunker.summarising.tree import LARGEST, WIDEST
from tests.properties.chunker.odd import odd_texts
from tests.unit.chunker.texts import chunks_of, paragraphs

NESTED = "# Handbook\n\n" + "".join(
    f"## Part {n}\n\n{paragraphs(6, n)}\n### Inner {n}\n\n{paragraphs(12, n + 50)}\n" for n in range(3)
)


def tree_of(text: str, known: dict[str, Written] | None = None) -> tuple[Node, ...]:
    return source_tree("s", "Title", chunks_of(text), summarise, known or {})


def known_of(nodes: tuple[Node, ...]) -> dict[str, Written]:
    return {node.input_hash: node.written for node in nodes}


def test_no_chunks_have_no_summaries() -> None:
    assert tree_of("") == ()


def test_sections_nest_by_heading_below_the_source() -> None:
    nodes = {node.id: node for node in tree_of(NESTED)}
    source = nodes["source:s"]
    parts = [node for node in nodes.values() if node.parent_id == source.id]
    assert {node.title for node in parts} == {"Part 0", "Part 1", "Part 2"}
    inner = [node for node in nodes.values() if node.title.startswith("Inner")]
    assert inner
    assert {nodes[node.parent_id or ""].title for node in inner} <= {"Part 0", "Part 1", "Part 2"}
    assert source.height > parts[0].height >= 1


def test_every_chunk_belongs_to_exactly_one_node() -> None:
    for text in (NESTED, paragraphs(3_000)):
        told = [chunk for node in tree_of(text) for chunk in node.chunk_ids]
        assert sorted(told) == sorted(chunk.id for chunk in chunks_of(text))


def test_no_node_reads_more_than_the_widest() -> None:
    nodes = tree_of(paragraphs(6_000))
    assert max(node.children for node in nodes) <= LARGEST
    assert nodes[0].children <= WIDEST
    assert {node.level for node in nodes} == {"source", "part"}


def test_tree_of_the_same_text_is_the_same_and_nothing_is_made_again() -> None:
    first = tree_of(NESTED)
    asked: list[str] = []
    again = source_tree("s", "Title", chunks_of(NESTED), lambda text: asked.append(text) or "x", known_of(first))
    assert (again, asked) == (first, [])


@pytest.mark.parametrize("at", [0, 300, 700, 1100, 1500, 2100, 2600, 2_999])
def test_edit_makes_its_own_path_anew_and_no_other(at: int) -> None:
    parts = paragraphs(3_000).split("\n\n")
    first = tree_of("\n\n".join(parts))
    parts[at] = "An entirely other paragraph stands here now, and it says something else."
    asked: list[str] = []

    def counting(text: str) -> str:
        asked.append(text)
        return summarise(text)

    source_tree("s", "Title", chunks_of("\n\n".join(parts)), counting, known_of(first))
    assert 1 <= len(asked) <= first[0].height + 1


@given(st.lists(st.text("ab/", max_size=8), min_size=65, max_size=400))
def test_split_leaves_no_part_wider_than_half_nor_empty(names: list[str]) -> None:
    places = sorted(place_of(name, "", str(at)) for at, name in enumerate(names))
    cuts = split(places)
    sizes = [last - first for first, last in zip(cuts, [*cuts[1:], len(places)], strict=True)]
    assert sum(sizes) == len(places)
    assert all(1 <= size <= WIDEST // 2 for size in sizes)


def test_split_follows_folders() -> None:
    places = [place_of(f"a/{n:02d}.md", "", "x") for n in range(25)] + [
        place_of(f"b/{n:02d}.md", "", "x") for n in range(40)
    ]
    assert split(places)[1] == 25
    assert span(["a.md", "z.md"], ["docs/a.md\x1f1", "docs/z.md\x1f2"]) == "docs/: a.md … z.md"


def test_outline_of_python_says_its_symbols_with_their_first_sentences() -> None:
    code = (
        '"""Publishes what was written. More of it."""\n\nimport os\n\n\nclass Relay:\n    """Sends rows in order.\n\n'
        '    And more."""\n\n    def step(self) -> bool:\n        """One batch."""\n        return True\n\n\n'
        "# Waits a while. Or not.\ndef pause(): ...\n"
    )
    assert code_outline(code, "python") == (
        "Publishes what was written. class Relay: Sends rows in order. def step: One batch. def pause: Waits a while."
    )


def test_outline_of_other_languages_reads_the_comment_above() -> None:
    go = "package main\n\n// Close ends it all.\n// And more.\nfunc Close() {}\n"
    assert code_outline(go, "go") == "func Close: Close ends it all."
    typescript = "/** Keeps a connection. */\nexport class Pool { /** Takes one. */ take() {} }\n"
    assert "class Pool: Keeps a connection." in code_outline(typescript, "typescript")
    assert "method take: Takes one." in code_outline(typescript, "typescript")


def test_outline_of_unknown_code_is_its_beginning() -> None:
    assert code_outline("SELECT 1;", None) == "SELECT 1;"


HOSTILE = (
    "![x](http://evil.test/a.png)",
    "[![x](http://evil.test/a.png)](http://evil.test)",
    "![x][ref]\n\n[ref]: http://evil.test/a.png",
    '<img src="http://evil.test/a.png">',
    "<img\nsrc=//evil.test/a onerror=alert(1)>",
    "<<img src=http://evil.test>img src=x>",
    "<scr<script>ipt>fetch('http://evil.test')</script>",
    "&lt;img src=http://evil.test&gt;",
    "<http://evil.test/auto>",
    "http://evil.test/plain www.evil.test //evil.test/x javascript:alert(1) data:text/html,hi",
    "<style>@import url(http://evil.test)</style>",
    "![a](<http://evil.test/b c>)",
    "h\u200bttp://evil.test ht\u202etp://evil.test",
    "<a href='x'>y</a> <svg/onload=fetch(1)>",
    "[x](https\u200b://evil.test/)",
)


@pytest.mark.parametrize("raw", HOSTILE)
def test_rendered_summary_fetches_and_links_nothing(raw: str) -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).render(as_text(f"Before {raw} after."))
    for sign in ("<img", "<a ", "<script", "<svg", "<style", "http://", "https://", "//evil"):
        assert sign not in rendered
    assert rendered.startswith("<p>Before")


@settings(max_examples=300, deadline=None)
@given(odd_texts)
def test_any_text_becomes_one_line_of_text(raw: str) -> None:
    text = as_text(raw)
    assert not [sign for sign in ("\n", "](", "://") if sign in text]
    assert MarkdownIt("commonmark", {"html": True}).render(text).count("<img") == 0


def test_long_text_is_cut_behind_a_sentence() -> None:
    assert (
        as_text("One sentence stands here. " * 100, 100)
        == "One sentence stands here. " * 2 + "One sentence stands here."
    )


@settings(max_examples=80, deadline=None)
@given(odd_texts)
def test_any_text_is_summarised(text: str) -> None:
    assert "\n" not in summarise(text)
