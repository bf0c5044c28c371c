"""Ids survive edits elsewhere in the document: what is embedded once stays embedded."""

from services.chunker.chunking import chunk
from tests.unit.chunker.texts import changed, chunks_of, document, paragraphs, sections


def test_edit_at_the_first_byte_of_one_long_line_changes_few_chunks() -> None:
    line = paragraphs(300, gap=" ")
    assert 1 <= changed(line, "Put before. " + line, "plain") <= 4


def test_edit_at_the_first_byte_of_text_without_blanks_changes_few_chunks() -> None:
    run = paragraphs(120, gap="").replace(" ", "").replace(".", "").replace("\n", "")
    assert 1 <= changed(run, "x" + run, "plain") <= 4


def test_section_inserted_before_others_leaves_their_ids() -> None:
    text = sections(60)
    at = text.index("## Topic 20\n")
    assert changed(text, text[:at] + "## New\n\nSomething new stands here.\n\n" + text[at:]) <= 3


def test_heading_of_the_same_name_put_before_leaves_the_ids_of_its_twin() -> None:
    body = paragraphs(12)
    after = chunks_of(f"# Top\n\n## Notes\n\nShort.\n\n## Other\n\n{body}\n## Notes\n\n{body}")
    known = {c.id for c in chunks_of(f"# Top\n\n## Other\n\n{body}\n## Notes\n\n{body}")}
    assert sum(c.id not in known for c in after) <= 2
    assert {c.anchor for c in after} >= {"notes-1"}


def test_twins_have_ids_of_their_own_and_a_third_leaves_the_first_two() -> None:
    twin = "## Same\n\n" + paragraphs(6)
    two = [c.id for c in chunks_of(twin * 2, budget=64)]
    three = [c.id for c in chunks_of(twin * 3, budget=64)]
    assert len(set(three)) == len(three)
    assert set(two) <= set(three)


def test_same_text_in_another_source_has_other_ids() -> None:
    ours = chunk(document("Some words."))
    theirs = chunk(document("Some words.").__class__("src-2", "file", "Title", None, "markdown", None, "Some words."))
    assert ours[0].id != theirs[0].id


def test_title_and_path_are_no_part_of_the_id() -> None:
    one, other = chunk(document("Some words.", path="a.md")), chunk(document("Some words.", path="b.md"))
    assert one[0].id == other[0].id
    assert one[0].context != other[0].context


def test_trailing_blanks_and_unicode_composition_do_not_change_an_id() -> None:
    assert chunks_of("Caf\u00e9 is open.\n")[0].id == chunks_of("Cafe\u0301 is open.  \n\n")[0].id


def test_indentation_changes_an_id() -> None:
    assert chunks_of("if x:\n  y()\n", "code")[0].id != chunks_of("if x:\n    y()\n", "code")[0].id


def test_ids_of_a_known_text_do_not_drift_between_releases() -> None:
    [only] = chunks_of("# One\n\nSome words.\n")
    assert only.id == "2ed93408031937165dca35e426d26f6a"
