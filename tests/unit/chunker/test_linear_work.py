"""Hostile and plain texts of twice the size take twice the work: calls are counted, never seconds."""

import pytest

from services.chunker.lexical import highlight, normalise_for_index
from services.chunker.summarising import summarise
from tests.support.work import calls
from tests.unit.chunker.texts import chunks_of, paragraphs

_SIZE = 4_000
_PUMPED = {
    "prose": paragraphs(60),
    "headings": "# h\n",
    "same line": "ab\n\n",
    "lists": "- a\n  - b\n",
    "bullets": "- ",
    "quotes": "> ",
    "fences": "```\n",
    "brackets": "[a](",
    "definitions": "[a]: b\n",
    "underlines": "=\n",
    "table": "|a|b|\n|-|-|\n",
    "comments": "<!-- ",
    "anchors": '<a id="x"></a>\n',
    "emphasis": "*a _b ",
    "blanks": " \n\t",
    "word": "x",
    "camel": "aB1_",
}


def pumped(name: str, size: int) -> str:
    return (_PUMPED[name] * (size // len(_PUMPED[name]) + 1))[:size]


@pytest.mark.parametrize("name", _PUMPED)
def test_chunking_twice_the_text_takes_twice_the_calls(name: str) -> None:
    chunks_of(pumped(name, _SIZE))  # caches and lazy imports first
    once, twice = (calls(lambda n=n: chunks_of(pumped(name, n * _SIZE))) for n in (1, 2))  # type: ignore[misc]
    assert twice <= 2.5 * once + 500


@pytest.mark.parametrize("name", ["prose", "camel", "word", "emphasis"])
def test_words_highlights_and_summaries_of_twice_the_text_take_twice_the_calls(name: str) -> None:
    def work(text: str) -> None:
        normalise_for_index(text)
        highlight(text, ["source", "ab", "x"])
        summarise(text)

    once, twice = (calls(lambda n=n: work(pumped(name, n * _SIZE))) for n in (1, 2))  # type: ignore[misc]
    assert twice <= 2.5 * once + 2_000
