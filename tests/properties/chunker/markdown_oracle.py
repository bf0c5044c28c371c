"""What markdown-it-py says of a text, in the terms of our own block scan, so that tests can compare the two."""

from bisect import bisect_right
from typing import NamedTuple

from markdown_it import MarkdownIt

from services.chunker.chunking.markdown_blocks import Block, scan

_PARSER = MarkdownIt("commonmark").enable("table")


class Outline(NamedTuple):
    """Top-level headings as (line, level, text); fences at any depth as (first line, line after the last)."""

    headings: list[tuple[int, int, str]]
    fences: list[tuple[int, int]]


def oracle(text: str) -> Outline:
    tokens = _PARSER.parse(text)
    headings = [
        (token.map[0], int(token.tag[1]), " ".join(tokens[i + 1].content.split()))
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]
    fences = [(token.map[0], token.map[1]) for token in tokens if token.type == "fence" and token.map]
    return Outline(headings, _without_trailing_blanks(text, fences))


def scanned(text: str) -> Outline:
    starts = [0, *(i + 1 for i, char in enumerate(text) if char == "\n")]
    blocks = list(scan(text))

    def line(at: int) -> int:
        return bisect_right(starts, at) - 1

    def past(end: int) -> int:
        return line(end) if text[end - 1 : end] == "\n" else line(end) + 1

    headings = [(line(first_line(text, b)), b.level, " ".join(b.title.split())) for b in blocks if b.kind == "heading"]
    fences = [(line(start), past(end)) for b in blocks for start, end in b.fences]
    return Outline(headings, _without_trailing_blanks(text, fences))


def _without_trailing_blanks(text: str, fences: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Whether blank lines at the end of an unclosed fence belong to it is nobody's concern."""
    lines = text.split("\n")
    trimmed = []
    for first, last in fences:
        while last > first + 1 and not lines[last - 1].strip("> \t"):
            last -= 1
        trimmed.append((first, last))
    return trimmed


def first_line(text: str, block: Block) -> int:
    """The start of the block's first line that is not blank: a first block also covers the blanks before it."""
    at = block.start
    while not text[at : text.find("\n", at) + 1 or None].strip(" \t\n"):
        at = text.find("\n", at) + 1
    return at


def without_front_matter(text: str) -> str:
    """CommonMark knows no front matter: its lines are blanked, so that all others keep their numbers."""
    first = next(iter(scan(text)), None)
    if first is None or first.kind != "front":
        return text
    return "\n" * text.count("\n", 0, first.end) + text[first.end :]
