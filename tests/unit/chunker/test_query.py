"""A query as it was typed: words, phrases in quotes, slips of the keyboard."""

from __future__ import annotations

import pytest

from services.chunker.domain.query import is_sentence, parse
from services.chunker.domain.typos import can_be_mistyped, distance, likely


def test_quoted_words_are_a_phrase_and_words_as_well() -> None:
    parsed = parse('how does "retry  policy" work')
    assert parsed.phrases == ("retry policy",)
    assert parsed.words == "how does retry policy work"
    assert parsed.phrase_words == "retry policy"


def test_curly_quotes_quote_and_a_lone_quote_does_not() -> None:
    assert parse("\u201cretry policy\u201d").phrases == ("retry policy",)
    assert parse('5" screen').phrases == ()
    assert parse('"" nothing').phrases == ()


def test_phrase_keeps_punctuation_and_its_identifiers_have_parts() -> None:
    parsed = parse('"relay.beginRetry()"')
    assert parsed.phrases == ("relay.beginRetry()",)
    assert parsed.phrase_words == "relay beginRetry begin Retry"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [("how is a retry policy set?", True), ("What don't I see?", True), ("retry policy", False), ("", False),
     ("Routing of the webhooks", True), ("fix the relay", False), ("\u4ec0\u4e48\u662f", False)],
)  # fmt: skip
def test_sentence_is_known_by_the_words_that_serve_others(query: str, sentence: bool) -> None:
    assert is_sentence(query) is sentence


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xbc", 1), ("reciev", "receiv", 1),
     ("ca", "abc", 3), ("", "abc", 3), ("kitten", "sitting", 3)],
)  # fmt: skip
def test_distance_counts_slips(one: str, other: str, slips: int) -> None:
    assert distance(one, other) == distance(other, one) == slips


def test_likely_words_are_the_fewest_slips_away_and_none_if_it_is_no_typo() -> None:
    assert likely("reciev", ["receiv", "relief", "recip"]) == ("receiv",)
    assert likely("webhok", ["webhook", "webhood"]) == ("webhook",)
    assert likely("tree", ["three", "trek", "treat"]) == ("three", "trek")
    assert likely("quantum", ["quartz", "quiet"]) == ()


def test_numbers_and_digests_are_not_corrected() -> None:
    assert not can_be_mistyped("a91fe3b2")
    assert not can_be_mistyped("the")
    assert can_be_mistyped("webhok")
