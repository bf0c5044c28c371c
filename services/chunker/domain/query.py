"""A query as it was typed → its words, its phrases in quotes that must stand in the text, whether it is a sentence."""

from __future__ import annotations

import re

import msgspec

from services.chunker.lexical import normalise_for_index, query_terms

MOST_PHRASES = 8
SERVING = 0.4  # of the words of a sentence serve the others: among key words hardly one does
# Those that PostgreSQL's English dictionary leaves out.
FUNCTION_WORDS = frozenset(
    """i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
    it its itself they them their theirs themselves what which who whom this that these those am is are was were be
    been being have has had having do does did doing a an the and but if or because as until while of at by for with
    about against between into through during before after above below to from up down in out on off over under
    again further then once here there when where why how all any both each few more most other some such no nor not
    only own same so than too very s t can will just don should now""".split()
)
_QUOTED = re.compile('["\u201c\u201d\u201e]([^"\u201c\u201d\u201e]*)["\u201c\u201d\u201e]')


class Parsed(msgspec.Struct, frozen=True):
    """`words` are normalised as the index is, those of the phrases among them. A phrase keeps its punctuation."""

    words: str
    phrases: tuple[str, ...]
    phrase_words: str


def is_sentence(query: str) -> bool:
    """Who asks in a sentence often avoids the text's own words."""
    words = query_terms(query).lower().split()
    return sum(word in FUNCTION_WORDS for word in words) >= SERVING * max(1, len(words))


def parse(query: str) -> Parsed:
    """A quote without its other end is no quote."""
    found = (" ".join(one.split()) for one in _QUOTED.findall(query))
    phrases = tuple(dict.fromkeys(one for one in found if one))[:MOST_PHRASES]
    return Parsed(query_terms(query), phrases, normalise_for_index(" ".join(phrases)))
