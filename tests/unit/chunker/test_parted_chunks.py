"""Pages, slides, records and messages are parted where their kind says, and carry the place they came from."""

import pytest

from services.chunker.chunking.pages import slide_units
from services.chunker.chunking.tokens import counter
from tests.unit.chunker.texts import assert_sound, chunks_of, document, paragraphs


def test_page_of_a_chunk_is_its_anchor() -> None:
    chunks = chunks_of("\f".join(paragraphs(9, seed=i) for i in range(3)), "pages")
    assert {c.anchor: c.heading_path for c in chunks} == {f"page={n}": (f"Page {n}",) for n in (1, 2, 3)}


def test_word_hyphenated_at_the_end_of_a_line_is_one_word_to_search() -> None:
    [only] = chunks_of("The configu-\nration of twenty-\none parts, 1-\n2.\n", "pages")
    assert only.words == "The configuration of twentyone parts, 1-\n2.\n"
    assert "configu-\nration" in only.text


def test_form_feeds_without_text_between_them_join_back() -> None:
    assert_sound(document("\f\f a\f\n\f", "pages"), 16)


def titles(text: str) -> list[tuple[str, str]]:
    return [(unit.section.path[0], unit.section.anchor) for unit in slide_units(text, 256)]


def test_each_slide_between_rules_is_a_section_of_its_own() -> None:
    fence = "```yaml\na: 1\n\n---\n\nb: 2\n```\n"
    marp = f"---\nmarp: true\n---\n\n# One\n\nWords.\n\n---\n\n- a\n- b\n\n---\n\n## Three\n\n{fence}"
    assert titles(marp) == [("One", "1"), ("- a", "2"), ("Three", "3")]


def test_settings_of_a_slide_belong_to_it() -> None:
    slidev = "---\ntheme: x\n---\n\n# One\n\n---\nlayout: center\nclass: a\n---\n\n# Two\n\n---\n\n# Three\n"
    assert titles(slidev) == [("One", "1"), ("Two", "2"), ("Three", "3")]


def test_exported_slides_are_parted_by_form_feeds() -> None:
    assert titles("First title\nwords\n\n---\n\nmore\fSecond\n\f") == [("First title", "1"), ("Second", "2")]


def test_heading_inside_a_slide_ranks_below_its_title() -> None:
    chunks = chunks_of(f"# One\n\n---\n\n# Two\n\n{paragraphs(9)}\n## Part\n\n{paragraphs(9)}", "slides")
    assert ("Two", "Two", "Part") in {c.heading_path for c in chunks}


def test_slide_that_fits_is_never_cut() -> None:
    slides = [f"# Slide {i}\n\n{paragraphs(1 + i % 3, seed=i)}\n" for i in range(30)]
    chunks = chunks_of("---\n\n".join(slides), "slides")
    assert 5 < len(chunks) < 30
    assert all(c.text.startswith("---\n\n# Slide") for c in chunks[1:])


def test_column_names_are_repeated_in_the_context_of_each_chunk() -> None:
    rows = "".join(f'{i},"line one\nline ""two""",{i * 7}\n' for i in range(60))
    chunks = chunks_of("id,text,number\n" + rows, "records", budget=96)
    assert len(chunks) > 5
    assert all("id,text,number" in c.context for c in chunks[1:])
    assert all(c.text[0].isdigit() for c in chunks[1:])


def test_quote_that_never_closes_is_a_character_like_others() -> None:
    rows = '"5 inches,a\n' + "".join(f"{i},word\n" for i in range(99))
    chunks = chunks_of(rows, "records", budget=64)
    assert len(chunks) > 5
    assert all(c.text.endswith("word\n") for c in chunks)


def message(author: str, minute: int, body: str) -> str:
    return f"## {author} said at 2024-05-01T10:{minute:02}:00Z\n\n{body}\n\n"


def test_short_messages_share_a_chunk_under_their_lines() -> None:
    thread = "# release\n\n" + "".join(message(f"ann{i}", i, "Is it out? I think so.") for i in range(40))
    chunks = chunks_of(thread, "thread")
    assert len(chunks) < 10
    assert all(c.text.startswith("## ann") for c in chunks[1:])
    assert all(c.heading_path[-1].startswith("ann") for c in chunks[1:])


@pytest.mark.parametrize("seed", range(5))
def test_message_that_fits_is_never_cut(seed: int) -> None:
    parts = [message(f"ann{i}", i, paragraphs(1 + (i * 7 + seed) % 3, seed=i)) for i in range(30)]
    assert all(counter()(part) <= 256 for part in parts)
    at, starts = 0, {0}
    for part in parts:
        starts.add(max(starts) + len(part))
    for c in chunks_of("".join(parts), "thread"):
        assert at in starts
        at += len(c.text)


def test_message_over_the_budget_is_cut_between_paragraphs() -> None:
    chunks = chunks_of(message("ann", 1, paragraphs(30)) + message("bob", 2, "Yes."), "thread")
    assert len(chunks) > 2
    assert all(c.text.endswith("\n\n") for c in chunks)
