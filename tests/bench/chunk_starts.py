"""How good chunks of Markdown are, whoever cut them: full, within the budget, and not begun inside a code fence.

Fences are markdown-it-py's. A chunk is found again in its text by its first line that is not blank; what a splitter
changed beyond recognition counts as a chunk but has no start.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markdown_it import MarkdownIt

from services.chunker.chunking.tokens import counter

_PARSER = MarkdownIt("commonmark").enable("table")


class Quality(NamedTuple):
    """`fill` and `inside` as shares: of the budget, of the chunks."""

    chunks: int
    fill: float
    over: int
    inside: float


def quality(texts: Sequence[str], chunks: Sequence[Sequence[str]], budget: int) -> Quality:
    tokens = [counter()(one) for of_text in chunks for one in of_text]
    inside = sum(_inside(text, of_text) for text, of_text in zip(texts, chunks, strict=True))
    over = sum(count > budget for count in tokens)
    return Quality(len(tokens), sum(tokens) / len(tokens) / budget, over, inside / len(tokens))


def _inside(text: str, chunks: Sequence[str]) -> int:
    fences = [token.map for token in _PARSER.parse(text) if token.type == "fence" and token.map]
    within = {line for first, last in fences for line in range(first + 1, last)}
    return sum(line in within for line in _first_lines(text, chunks))


def _first_lines(text: str, chunks: Sequence[str]) -> Iterator[int]:
    at = 0
    for one in chunks:
        start = text.find(one.strip(), at)
        if start >= 0:
            at = start
            yield text.count("\n", 0, start)
