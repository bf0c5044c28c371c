"""An edit changes the ids of one or two chunks, wherever it is made in a megabyte or in our own sources."""

import re

import pytest

from tests.support.figures import Tell
from tests.unit.chunker.texts import ROOT, changed, chunks_of, own_files, paragraphs, sections


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


def test_one_word_changed_in_a_paragraph_changes_one_or_two_chunks() -> None:
    text = sections(60)
    words = [m.start() for m in re.finditer(r"(?<=[a-z] )[a-z]", text)]
    counts = [changed(text, text[:i] + "edited " + text[i:]) for i in words[:: len(words) // 30]]
    assert len(counts) >= 30
    assert max(counts) <= 3
    assert sum(count <= 2 for count in counts) >= 0.9 * len(counts)


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
