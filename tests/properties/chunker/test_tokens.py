"""Two tokenizers that share no code count the same: what a chunk holds is exact, whichever counts it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rs_bpe.bpe import openai

from services.chunker.chunking.tokens import counter
from tests.unit.chunker.texts import own_files

_ODD = "\u202e\u2066\u200b\u200d\ufeff\u0301\u00e9\u2028\x85\x0b\0\r\n \t😀漢。'sS'LLve'\u017f\u212a09#`~-=|>*_[]{}aZ"
# What a newer Unicode makes a letter (unassigned here) splits differently in each.
_CHARACTERS = st.one_of(st.sampled_from(_ODD), st.characters(exclude_categories=("Cs", "Cn")))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_CHARACTERS, st.sampled_from(["aaaa", "    ", "\n\n", "漢字", "ab ", "1234"]))).map("".join))
def test_any_text_is_counted_as_by_another_tokenizer(text: str) -> None:
    assert counter()(text) == openai.cl100k_base().count(text)


@pytest.mark.parametrize("suffix", [".md", ".py"])
def test_own_files_are_counted_as_by_another_tokenizer(suffix: str) -> None:
    texts = [path.read_text() for path in list(own_files(suffix))[:60]]
    assert [counter()(text) for text in texts] == [openai.cl100k_base().count(text) for text in texts]


@pytest.mark.parametrize("text", ["", " ", "\n", "<|endoftext|>", "a" * 100_000, "漢" * 50_000, " \n" * 50_000])
def test_extreme_text_is_counted_as_by_another_tokenizer(text: str) -> None:
    assert counter()(text) == openai.cl100k_base().count(text)
