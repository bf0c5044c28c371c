"""In which forms the bundled models read a query, and what becomes of them."""

from __future__ import annotations

from math import sqrt

import numpy as np

from services.chunker.embedding.asking import SENTENCE_PREFIX, asked, readings

ALL = np.array([0.0, 0.0, 3.0])


def test_sentence_has_the_prefix_of_the_training_and_key_words_have_none() -> None:
    assert readings("how is it set?", SENTENCE_PREFIX) == [f"{SENTENCE_PREFIX}how is it set?"]
    assert readings("Retry policy.", SENTENCE_PREFIX) == ["Retry policy."]


def test_query_that_names_an_identifier_is_read_in_words_as_well() -> None:
    assert readings("set `retryAfter`") == ["set `retryAfter`", "set retry After"]
    assert readings("where is max_seconds?", SENTENCE_PREFIX) == [
        f"{SENTENCE_PREFIX}where is {words}?" for words in ("max_seconds", "max seconds")
    ]
    assert readings("") == [""]


def test_readings_count_alike_whatever_their_length() -> None:
    both = asked([np.array([5.0, 0.0, 0.0]), np.array([0.0, 0.1, 0.0])], ALL, 0.2)
    assert both[0] == both[1] > 0


def test_what_every_text_has_in_common_counts_less() -> None:
    one = asked([np.array([3.0, 0.0, 4.0])], ALL, 0.2)
    assert np.allclose(one, [0.6 / sqrt(0.72), 0.0, 0.6 / sqrt(0.72)])
