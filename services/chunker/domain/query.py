"""A query as it was typed → its words, and the phrases in quotes that must stand in the text."""

from __future__ import annotations

import re

import msgspec

from services.chunker.lexical import normalise_for_index, query_terms

MOST_PHRASES = 8
_QUOTED = re.compile('["\u201c\u201d\u201e]([^"\u201c\u201d\u201e]*)["\u201c\u201d\u201e]')


class Parsed(msgspec.Struct, frozen=True):
    """`words` are normalised as the index is, those of the phrases among them. A phrase keeps its punctuation."""

    words: str
    phrases: tuple[str, ...]
    phrase_words: str


def parse(query: str) -> Parsed:
    """A quote without its other end is no quote."""
    found = (" ".join(one.split()) for one in _QUOTED.findall(query))
    phrases = tuple(dict.fromkeys(one for one in found if one))[:MOST_PHRASES]
    return Parsed(query_terms(query), phrases, normalise_for_index(" ".join(phrases)))
