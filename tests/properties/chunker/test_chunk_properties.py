"""What holds for every document: chunks join back to the text, keep to the budget, and are told apart."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chunker.chunking import ChunkKind, Document, chunk, normalise_text
from services.chunker.chunking.grammars import GRAMMARS
from tests.properties.chunker.odd import odd_texts
from tests.support.figures import sized
from tests.unit.chunker.texts import ROOT, assert_sound, chunks_of, document, paragraphs

KINDS: tuple[ChunkKind, ...] = get_args(ChunkKind)
_BLOCKS = st.sampled_from(
    [
        "# H\n",
        "para one. Para two!\n",
        "\n",
        "```\n",
        "~~~~\n",
        "- item\n",
        "  more\n",
        "> q\n",
        "|a|b|\n|-|-|\n|c|d|\n",
        "<div>\n",
        "Head\n===\n",
        "## bob commented at 2024-01-01T00:00:00Z\n",
        "def f(x):\n    return x\n",
        "class A:\n",
        "    x = 1\n",
        "word " * 90,
        "<p>",
        "<h2 id=a>T</h2>",
        "<table><tr><td>",
        "<pre>\n",
        "<script>",
        "<Tab a={`\n\n# no\n`}\n>\n",
        "---\n",
        "\f",
        'a,"b\n',
        '"\n',
        "x" * 300,
        "漢字" * 60,
        "\n" * 40,
        " " * 90 + "\n",
    ]
)
block_texts = st.lists(_BLOCKS, max_size=30).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=sized(10, 10_000), deadline=None)
@given(text=odd_texts, budget=st.sampled_from([16, 33, 256]))
def test_any_text_joins_back_within_the_budget(kind: ChunkKind, text: str, budget: int) -> None:
    assert_sound(document(text, kind, "python"), budget)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=sized(10, 10_000), deadline=None)
@given(text=block_texts, language=st.sampled_from(["python", "rust", "yaml", None]))
def test_any_mixture_of_blocks_joins_back_within_the_budget(kind: ChunkKind, text: str, language: str | None) -> None:
    assert_sound(document(text, kind, language), 48)


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_grammar_joins_back_on_source_it_cannot_parse(language: str) -> None:
    source = (ROOT / "services/chunker/chunking/packing.py").read_text()
    assert_sound(document(source, "code", language), 64)


@settings(max_examples=100, deadline=None)
@given(odd_texts)
def test_normalising_twice_changes_nothing_and_can_be_stored(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once
    assert "\r" not in once
    assert "\0" not in once
    assert once.encode().decode() == once


def test_line_ends_nulls_and_surrogates_become_what_postgres_can_store() -> None:
    assert normalise_text("\ufeffa\r\nb\rc\0\ud83d\ude00\udfff") == "a\nb\nc\ufffd😀\ufffd"


def test_document_normalises_its_title_and_path() -> None:
    assert Document("s", "file", "a\0", "b\udfff", "plain", None, "").title == "a\ufffd"
    assert Document("s", "file", "a", "b\udfff", "plain", None, "").path == "b\ufffd"


@pytest.mark.parametrize("kind", KINDS)
def test_empty_document_has_no_chunks(kind: ChunkKind) -> None:
    assert chunks_of("", kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_document_of_blanks_joins_back(kind: ChunkKind) -> None:
    assert_sound(document(" \n\t\n" * 500, kind), 16)


@pytest.mark.parametrize("text", ["a" * 20_000, "漢" * 5_000, "😀" * 3_000, "a. " * 5_000, "=" * 9_000, "\n" * 9_000])
def test_text_without_a_place_to_cut_keeps_to_the_budget(text: str) -> None:
    assert len(assert_sound(document(text, "plain"), 64)) > 1


def test_budget_too_small_for_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        chunks_of("text", budget=8)


def test_chunks_of_prose_are_well_filled() -> None:
    chunks = chunks_of(paragraphs(400))
    assert sum(c.tokens for c in chunks) / len(chunks) >= 0.68 * 256


def test_context_is_bounded_whatever_the_title_and_headings() -> None:
    path = "dir/" * 500 + "file.md"
    long = Document("s", "file", "T" * 9_000, path, "markdown", None, f"# {'h' * 9_000}\n\n## {'i ' * 900}\n\ntext\n")
    assert max(len(c.context) for c in chunk(long)) < 1_000
