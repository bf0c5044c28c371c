"""Words of queries and texts meet in the index; highlights mark what stands in the text."""

import pytest

from services.chunker.lexical import highlight, normalise_for_index, query_terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GET /users/me", "GET users me"),
        ("requirements.txt, now!", "requirements txt now"),
        ("getUserName", "getUserName get User Name"),
        ("HTTPServer", "HTTPServer HTTP Server"),
        ("index_wanted", "indexwanted index wanted"),
        ("__init__", "init"),
        ("sha256 of it", "sha256 of it sha 256"),
        ("plain Words HERE", "plain Words HERE"),
        ("a-b", "a b"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth", "zerowidth"),
        ("हिन्दी में", "हिन्दी में"),
        ("漢字", "漢字"),
        ("\ud800 \0 ...", ""),
        ("___", ""),
    ],
)
def test_text_becomes_words_and_parts(text: str, words: str) -> None:
    assert normalise_for_index(text) == words


def test_identifier_is_found_in_either_convention() -> None:
    assert set(query_terms("indexWanted").lower().split()) == set(query_terms("index_wanted").lower().split())


def test_words_keep_their_order_and_parts_follow_all_of_them() -> None:
    assert normalise_for_index("call fooBar twice") == "call fooBar twice foo Bar"


def test_query_says_each_word_once_and_is_bounded() -> None:
    assert query_terms("Page page PAGE lease") == "Page lease"
    assert len(query_terms("a1b2 " * 10_000)) < 2_000
    assert len(query_terms(" ".join(f"w{i}x" for i in range(900))).split()) <= 64
    assert query_terms(" -- & | ' ") == ""


def marked(text: str, terms: list[str], max_len: int = 240) -> list[list[str]]:
    return [[piece.text[a:b] for a, b in piece.ranges] for piece in highlight(text, terms, max_len)]


def test_words_are_marked_whatever_their_case_or_ending() -> None:
    assert marked("Leases expire; a LEASE is held by its owner.", ["leas", "owner"]) == [["Leases", "LEASE", "owner"]]
    assert marked("It is happy and happier", ["happi"]) == [["happy", "happier"]]


def test_parts_of_identifiers_are_marked() -> None:
    assert marked("call getUserName(index_wanted)", ["user", "wanted"]) == [["User", "wanted"]]
    assert marked("call index_wanted now", ["indexwanted"]) == [["index_wanted"]]


def test_short_term_marks_no_longer_word() -> None:
    assert marked("is island isolated", ["is"]) == [["is"]]


def test_snippet_shows_the_stretch_with_most_terms() -> None:
    text = "lease " + "filler " * 100 + "the lease of a worker expires here " + "filler " * 100
    [piece] = highlight(text, ["lease", "worker", "expir"])
    assert [piece.text[a:b] for a, b in piece.ranges] == ["lease", "worker", "expires"]
    assert len(piece.text) <= 240


def test_terms_far_apart_give_a_piece_each() -> None:
    text = "alpha " + "filler " * 100 + "beta " + "filler " * 100 + "gamma"
    assert sorted(marked(text, ["alpha", "beta", "gamma"])) == [["alpha"], ["beta"], ["gamma"]]


def test_text_without_a_match_shows_its_beginning() -> None:
    [piece] = highlight("word " * 100, ["absent"])
    assert piece.ranges == ()
    assert piece.text.startswith("word")
    assert len(piece.text) <= 240
