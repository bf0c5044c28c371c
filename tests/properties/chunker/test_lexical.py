"""Whatever a text holds, what search keeps and marks of it is words of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.chunker.lexical import highlight, normalise_for_index
from tests.properties.chunker.odd import odd_texts


@settings(max_examples=80, deadline=None)
@given(odd_texts)
def test_normalised_text_is_words_and_blanks_alone(text: str) -> None:
    words = normalise_for_index(text)
    assert not set(words) & set("'\"&|!():*<>\\_\n\0")
    assert words == " ".join(words.split())


@settings(max_examples=100, deadline=None)
@given(odd_texts, st.lists(odd_texts.map(lambda t: t[:6]), max_size=5), st.integers(min_value=1, max_value=300))
def test_ranges_lie_within_any_text(text: str, terms: list[str], max_len: int) -> None:
    for piece in highlight(text, terms, max_len):
        assert piece.text in text
        assert len(piece.text) <= max_len
        assert all(0 <= a < b <= len(piece.text) for a, b in piece.ranges)
