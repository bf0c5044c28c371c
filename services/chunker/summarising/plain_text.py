"""A summary is text and nothing else: whatever shows it as Markdown or HTML fetches nothing and links to nothing."""

import re
import unicodedata

LONGEST_TEXT, LONGEST_TITLE = 1200, 200

_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")
_ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>]*|\bwww\.[^\s<>]+|\b(?:javascript|data|vbscript|mailto|file|blob):[^\s<>]*",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?:[A-Za-z/!?][^<>]*)>")
_OPENS_A_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w{1,31};)")
_BRACKETS = str.maketrans({"[": "(", "]": ")"})
_SENTENCE_END = re.compile(r"[.!?。!?][\"')]*(?=\s|$)")


def as_text(raw: str, longest: int = LONGEST_TEXT) -> str:
    """One line without markup that an engine would act on, addresses, or characters that hide or reorder others."""
    text = _visible(raw[: longest * 8])
    for _ in range(3):  # an image inside a link, a tag inside a tag
        text = _TAG.sub(" ", _IMAGE_OR_LINK.sub(r"\1", text))
    text = _OPENS_A_TAG.sub("‹", _ADDRESS.sub(" ", text))
    text = _ENTITY.sub("＆", text.translate(_BRACKETS))
    return _bounded(" ".join(text.split()), longest)


def _visible(text: str) -> str:
    """Blanks for control characters; bidirectional marks and what has no width go."""
    if text.isascii() and text.isprintable():
        return text
    kinds = ((char, unicodedata.category(char)) for char in text)
    return "".join(" " if kind in ("Cc", "Zl", "Zp") else "" if kind in ("Cf", "Cs", "Co") else c for c, kind in kinds)


def _bounded(text: str, longest: int) -> str:
    """Cut behind a sentence, else between words."""
    if len(text) <= longest:
        return text
    text = text[:longest]
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends and ends[-1] > longest // 2 else text.rpartition(" ")[0] or text
