"""The first sentence of what a comment or docstring says: read beside a chunk that stands further down."""

import re

_MARKS = re.compile(
    r"^[ \t]*(?:/\*+!?|\*/|\*+|//+!?|#+!?(?!\[)|--+|[rRuUbB]?(?:\"\"\"|''')|[rRuU]?[\"'])?[ \t]*|\*+/|\"\"\"|'''", re.M
)
_NOT_SAID = re.compile(
    r"[@/]|#\[|\[|(?i:copyright|licen[cs]e|spdx|eslint|ts-|noqa|type:|mypy:|nolint|go:|rustfmt|-\*-)"
)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z]|\s*\Z)")
_LONGEST_READ, _LONGEST = 600, 160


def first_sentence(raw: str) -> str:
    """Without comment marks, on one line, bounded; nothing for licences, tags and switches of tools."""
    text, end = "", None
    for line in raw[:_LONGEST_READ].split("\n"):
        words = _MARKS.sub("", line).strip()
        if _NOT_SAID.match(words) or (text and not words):
            break
        text = f"{text} {words}" if text else words
        end = _SENTENCE_END.search(text)
        if end and end.end() < len(text):
            break
    return text[: end.start() if end else None].strip("\"' ")[:_LONGEST]
