"""Hostile and plain texts of twice the size take twice the work: calls are counted, seconds by `make chaos` only.

What one call does, an expression or a search, is seen in seconds alone. They are the process's own CPU time, the best
of several runs of both sizes in turn, so that a machine that slows down for one of them decides nothing; and the sizes
are far apart, since work that grows with the square takes sixteen times as long for four times the text.
"""

import time

import pytest

from services.chunker.chunking import ChunkKind
from services.chunker.lexical import highlight, normalise_for_index
from services.chunker.summarising import summarise
from tests.support.figures import Tell, long_run
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
    "tags of components": "<A\n",
    "expressions": "<A b={\n\n",
    "templates": "<A b={`\\`",
    "strings": "<A\n b='\\'\n",
    "modules": "export const a = {\n\n",
    "escaped quotes": '<A b={\\"',
    "escaped apostrophes": "<A b={\\'",
    "braces": "<A b={{}",
}
_PUMPED_KINDS: dict[ChunkKind, dict[str, str]] = {
    "html": {
        name: name
        for name in (
            "<", "<a ", "<div>", "<li>", "<h1>", "</h1>", "<tr><td>x", "<pre>", '<a b="', "<a b='x\" ", "<!-- ",
            "<!a", "<script>", "<template></templat", "&amp;", "&", "<table><tr><td>", '<p id="x">', "<h1><a id=x>",
            "<p>x</p>",
        )
    },
    "pages": {"pages": "\f", "hyphens": "a-\n", "soft hyphens": "a\u00ad\n"},
    "slides": {"rules": "---\n", "parted rules": "\n---\n\n", "settings": "\n---\na: b\n---\n", "form feeds": "\f"},
    "notebook": {"brackets": "[", "quotes": '"', "objects": '{"cells":'},
    "records": {"quotes": '"', "pairs": '"",', "fields": ",", "open": 'a,"b\n', "lines": "a,b\n", "tabs": "\t\"\n"},
    "thread": {"messages": "## a said at 2024-05-01T10:00:00Z\n", "almost": "## a at "},
    "plain": {"stops": ". ", "lines": "a\n", "blank lines": " \n"},
}  # fmt: skip
_OF_KINDS = [(kind, name) for kind, pumps in _PUMPED_KINDS.items() for name in pumps]


def pumped(name: str, size: int) -> str:
    return (_PUMPED[name] * (size // len(_PUMPED[name]) + 1))[:size]


@pytest.mark.parametrize("name", _PUMPED)
def test_chunking_twice_the_text_takes_twice_the_calls(name: str) -> None:
    chunks_of(pumped(name, _SIZE))  # caches and lazy imports first
    once, twice = (calls(lambda n=n: chunks_of(pumped(name, n * _SIZE))) for n in (1, 2))  # type: ignore[misc]
    assert twice <= 2.5 * once + 500


@pytest.mark.parametrize(("kind", "name"), _OF_KINDS)
def test_chunking_twice_the_text_of_any_kind_takes_twice_the_calls(kind: ChunkKind, name: str) -> None:
    piece = _PUMPED_KINDS[kind][name]
    once, twice = (calls(lambda n=n: chunks_of(piece * (n * _SIZE // len(piece)), kind)) for n in (1, 2))  # type: ignore[misc]
    assert twice <= 2.5 * once + 500


if long_run():

    @pytest.mark.parametrize(("kind", "name"), [*(("markdown", name) for name in _PUMPED), *_OF_KINDS])
    def test_hostile_megabyte_takes_two_seconds_at_most_and_four_times_a_quarter_of_it(
        kind: ChunkKind, name: str, figure: Tell
    ) -> None:
        piece = _PUMPED[name] if kind == "markdown" else _PUMPED_KINDS[kind][name]
        texts = [piece * (size // len(piece)) for size in (250_000, 1_000_000)]
        quarter, whole = _best_seconds(texts, kind)
        figure(f"A22_{kind}_{name.encode().hex()[:12]}", whole, "s", 2)
        assert whole <= 2
        assert whole <= _GROWTH * quarter + 0.05


_RUNS = 4
_GROWTH = 8  # for four times the text: between the 4 of linear work and the 16 of quadratic


def _best_seconds(texts: list[str], kind: ChunkKind) -> list[float]:
    rounds = [[_seconds(text, kind) for text in texts] for _ in range(_RUNS)]
    return [min(of_text) for of_text in zip(*rounds, strict=True)]


def _seconds(text: str, kind: ChunkKind) -> float:
    start = time.process_time()
    chunks_of(text, kind)
    return time.process_time() - start


@pytest.mark.parametrize("name", ["prose", "camel", "word", "emphasis"])
def test_words_highlights_and_summaries_of_twice_the_text_take_twice_the_calls(name: str) -> None:
    def work(text: str) -> None:
        normalise_for_index(text)
        highlight(text, ["source", "ab", "x"])
        summarise(text)

    once, twice = (calls(lambda n=n: work(pumped(name, n * _SIZE))) for n in (1, 2))  # type: ignore[misc]
    assert twice <= 2.5 * once + 2_000
