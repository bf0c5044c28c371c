"""Markdown and conversations are cut where a reader would cut them, and carry the place they came from."""

import math

import pytest

from services.chunker.chunking.model import Section
from services.chunker.chunking.outline import Outline, plain_heading, slug
from services.chunker.chunking.tokens import counter
from tests.unit.chunker.texts import chunks_of, document, paragraphs, sections


def test_small_sections_share_a_chunk_up_to_the_budget() -> None:
    text = "# A\n\nOne.\n\n## B\n\nTwo.\n\n## C\n\nThree.\n"
    [only] = chunks_of(text)
    assert (only.text, only.anchor, only.heading_path) == (text, "a", ("A",))


def test_large_sections_start_chunks_and_carry_their_path() -> None:
    chunks = chunks_of(f"# Top\n\n## First\n\n{paragraphs(9)}\n## Second\n\n{paragraphs(9, seed=3)}")
    opening = [c for c in chunks if c.text.startswith("#")]
    assert [c.heading_path for c in opening] == [("Top",), ("Top", "Second")]
    assert {c.heading_path for c in chunks} >= {("Top", "First"), ("Top", "Second")}
    assert all("Top > " in c.context for c in chunks if len(c.heading_path) > 1)


def test_context_holds_title_path_and_headings_apart_from_the_text() -> None:
    from services.chunker.chunking import chunk

    [only] = chunk(document("## Setup\n\nRun it.\n", path="docs/start.md"))
    assert only.context == "Title\ndocs/start.md\nSetup"
    assert "docs/start.md" not in only.text


@pytest.mark.parametrize("budget", [40, 64, 256])
def test_heading_is_never_the_last_line_of_a_chunk(budget: int) -> None:
    chunks = chunks_of(sections(40), budget=budget)
    assert not [c for c in chunks[:-1] if c.text.rstrip().rpartition("\n")[2].startswith("#")]


def test_fence_over_the_budget_is_cut_between_lines() -> None:
    text = "```\n" + "value = compute(first, second)\n" * 60 + "```\n"
    chunks = chunks_of(text, budget=64)
    assert len(chunks) > 3
    assert all(c.text.endswith("\n") for c in chunks)


@pytest.mark.parametrize("lines", range(20, 60, 3))
def test_fence_over_the_budget_goes_into_the_fewest_chunks_that_hold_it(lines: int) -> None:
    code = "".join(f"setting_{i} = [\n    {i},\n]\n" + "\n" * (i % 5 == 0) for i in range(lines))
    fence, budget, longest_entry = f"```\n{code}```\n", 96, 12
    chunks = chunks_of(f"{paragraphs(4)}\n{fence}\n{paragraphs(4, seed=3)}", budget=budget)
    begun = [c for c in chunks if c.text.startswith(("setting", "    ", "]"))]
    assert len(begun) <= math.ceil(counter()(fence) / (budget - longest_entry)) - 1


def test_table_over_the_budget_is_cut_between_rows_and_repeats_its_header_in_the_context() -> None:
    rows = "".join(f"| name {i} | a value. Another value | {i * 7} |\n" for i in range(60))
    chunks = chunks_of("# Data\n\n| name | value | n |\n|---|---|---|\n" + rows, budget=96)
    assert len(chunks) > 5
    assert all(c.text.endswith("|\n") for c in chunks)
    assert all("| name | value | n |" in c.context for c in chunks[1:])
    assert all("| name | value | n |" not in c.text for c in chunks[1:])


def test_paragraph_over_the_budget_is_cut_between_sentences() -> None:
    chunks = chunks_of(paragraphs(30, gap=" "), budget=96)
    assert len(chunks) > 5
    assert all(c.text.rstrip().endswith(".") for c in chunks)


def test_list_over_the_budget_is_cut_between_items() -> None:
    items = "".join(f"- Item number {i} says this and that.\n  It goes on here.\n" for i in range(60))
    chunks = chunks_of(items, budget=96)
    assert len(chunks) > 5
    assert all(c.text.startswith("- Item") for c in chunks)


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## Getting started", "getting-started"),
        ("## What's `new` in *v2*?", "whats-new-in-v2"),
        ("## A [link](http://x/y) here", "a-link-here"),
        ("## snake_case & more", "snake_case--more"),
        ("## Über uns", "über-uns"),
        ("## Custom {#my-own-id}", "my-own-id"),
        ('## <a id="named"></a>Named', "named"),
        ('<a name="before"></a>\n\n## Anchored', "before"),
        ("Underlined\n---", "underlined"),
    ],
)
def test_anchor_is_the_slug_or_what_the_author_named(heading: str, anchor: str) -> None:
    [only] = chunks_of(f"{heading}\n\ntext\n")
    assert only.anchor == anchor


def test_headings_of_one_name_have_anchors_of_their_own() -> None:
    body = paragraphs(10)
    chunks = chunks_of(f"## Use\n\n{body}\n## Use\n\n{body}\n## Use 1\n\n{body}\n## Use\n\n{body}")
    assert [c.anchor for c in chunks if c.text.startswith("## ")] == ["use", "use-1", "use-1-1", "use-2"]


def test_heading_is_read_without_its_markup() -> None:
    assert plain_heading("The `run()` of **[Sluice](http://x)** {#run}") == "The run() of Sluice"
    assert slug("a  b") == "a--b"


def comment(author: str, body: str) -> str:
    return f"## {author} commented at 2024-05-01T10:00:00Z\n\n{body}\n\n"


def test_every_comment_starts_a_chunk() -> None:
    text = "# It breaks\n\nHow it breaks.\n\n" + comment("ann", "Yes.") + comment("bob", "No.")
    chunks = chunks_of(text, "conversation")
    assert [c.text.split()[1] for c in chunks] == ["It", "ann", "bob"]
    assert [c.heading_path[-1] for c in chunks[1:]] == [
        f"{name} commented at 2024-05-01T10:00:00Z" for name in ("ann", "bob")
    ]


def test_comment_with_an_open_fence_does_not_swallow_the_next() -> None:
    chunks = chunks_of(comment("ann", "```\nnever closed") + comment("bob", "Hello."), "conversation")
    assert [c.anchor for c in chunks] == ["ann-commented-at-2024-05-01t100000z", "bob-commented-at-2024-05-01t100000z"]


def test_headings_inside_a_comment_rank_below_it() -> None:
    text = "# Title\n\nBody.\n\n# Steps\n\n" + paragraphs(9) + "\n" + comment("ann", f"# Loud\n\n{paragraphs(12)}")
    chunks = chunks_of(text + comment("bob", "Quiet."), "conversation")
    line = "{} commented at 2024-05-01T10:00:00Z"
    assert ("Title", line.format("ann"), "Loud") in {c.heading_path for c in chunks}
    assert chunks[-1].heading_path == ("Title", line.format("bob"))


def test_heading_that_only_resembles_a_comment_line_starts_no_comment() -> None:
    text = "# Title\n\n## ann commented at lunch\n\nWords.\n"
    assert len(chunks_of(text, "conversation")) == 1


def test_anchor_before_other_words_is_not_the_next_headings() -> None:
    chunks = chunks_of(f'<a id="words"></a>\n\nShort.\n\n# Real\n\n{paragraphs(9)}')
    assert "real" in {c.anchor for c in chunks}
    assert "words" not in {c.anchor for c in chunks}


def test_heading_that_no_link_leads_to_has_no_anchor() -> None:
    outline = Outline()
    assert outline.open(1, "Title {#}") == Section(("Title",), "")
    assert outline.open(2, "Part {#part-1}") == Section(("Title", "Part"), "part-1")
