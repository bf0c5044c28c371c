"""Ids survive edits elsewhere in the document: what is embedded once stays embedded."""

import re

import pytest

from services.chunker.chunking import chunk
from tests.support.figures import Tell
from tests.unit.chunker.texts import ROOT, chunks_of, document, own_files, paragraphs, sections


def changed(before: str, after: str, kind: str = "markdown") -> int:
    """How many chunks of `after` were not there before."""
    known = {c.id for c in chunks_of(before, kind)}  # type: ignore[arg-type]
    return sum(c.id not in known for c in chunks_of(after, kind))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def megabyte() -> str:
    text = paragraphs(3_700)
    assert len(text) > 1_000_000
    return text


@pytest.fixture(scope="module")
def known(megabyte: str) -> frozenset[str]:
    return frozenset(c.id for c in chunks_of(megabyte))


@pytest.mark.parametrize("inserted", ["x", "One sentence more.\n\n"])
def test_edit_at_the_first_byte_of_a_megabyte_without_headings_changes_three_chunks_at_most(
    megabyte: str, known: frozenset[str], inserted: str
) -> None:
    after = chunks_of(inserted + megabyte)
    assert 1 <= sum(c.id not in known for c in after) <= 3


@pytest.mark.parametrize("headings", [False, True])
def test_edit_of_one_paragraph_of_a_megabyte_changes_one_or_two_chunks(
    megabyte: str, known: frozenset[str], headings: bool, figure: Tell
) -> None:
    before = sections(2_000) if headings else megabyte
    ids = {c.id for c in chunks_of(before)} if headings else known
    counts = []
    for share in (0.1, 0.5, 0.9):
        at = before.index("\n\n", int(len(before) * share)) - 1
        counts.append(sum(c.id not in ids for c in chunks_of(f"{before[:at]} and more{before[at:]}")))
    figure(f"edit_one_paragraph_{'with' if headings else 'without'}_headings", max(counts), "chunks", 2)
    assert 1 <= max(counts) <= 2


def test_edit_at_the_first_byte_of_one_long_line_changes_few_chunks() -> None:
    line = paragraphs(300, gap=" ")
    assert 1 <= changed(line, "Put before. " + line, "plain") <= 4


def test_edit_at_the_first_byte_of_text_without_blanks_changes_few_chunks() -> None:
    run = paragraphs(120, gap="").replace(" ", "").replace(".", "").replace("\n", "")
    assert 1 <= changed(run, "x" + run, "plain") <= 4


def test_one_word_changed_in_a_paragraph_changes_one_or_two_chunks() -> None:
    text = sections(60)
    words = [m.start() for m in re.finditer(r"(?<=[a-z] )[a-z]", text)]
    counts = [changed(text, text[:i] + "edited " + text[i:]) for i in words[:: len(words) // 30]]
    assert len(counts) >= 30
    assert max(counts) <= 3
    assert sum(count <= 2 for count in counts) >= 0.9 * len(counts)


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


def code_changed(before: str, after: str) -> list[int]:
    """Ordinals of the chunks of `after` that were not there before."""
    known = {c.id for c in chunks_of(before, "code", "python")}
    return [c.ordinal for c in chunks_of(after, "code", "python") if c.id not in known]


def test_import_put_first_changes_the_first_chunk_alone() -> None:
    for path in own_files(".py"):
        text = path.read_text()
        if "services/chunker" in str(path) and len(chunks_of(text, "code", "python")) > 1:
            assert code_changed(text, "import first\n" + text) == [0], path


def test_edit_of_one_function_changes_one_or_two_chunks() -> None:
    text = (ROOT / "services/chunker/chunking/code.py").read_text() + (ROOT / "services/chunker/lexical.py").read_text()
    returns = [m.start() for m in re.finditer(r"\n    +return ", text)]
    counts = [len(code_changed(text, f"{text[:at]}\n        edited(one, two){text[at:]}")) for at in returns]
    assert len(counts) > 20
    assert min(counts) == 1
    assert max(counts) <= 2
