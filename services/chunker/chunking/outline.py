"""Headings become sections: plain text for the path, GitHub-style slugs for the anchor, bounded in length."""

import re
from functools import lru_cache

from services.chunker.chunking.model import Section

_LONGEST = 120
_LONGEST_READ = 1000
_REMEMBERED = 4096  # "Parameters", "Returns": most headings of a corpus are few
_EXPLICIT_ID = re.compile(r"[ \t]*\{#([^\s{}]*)\}[ \t]*\Z")  # {#}: no link leads here
_NAMED_ANCHOR = re.compile(r"<a\s+(?:id|name)\s*=\s*[\"']?([^\"'\s>]+)[\"']?[^<>]*>", re.IGNORECASE)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\n]*\)|\[[^\[\]\n]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_EMPHASIS = re.compile(r"\*+|`+|~~|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_NOT_IN_SLUG = re.compile(r"[^\w\-]+")
_PLAIN = re.compile(r"[A-Za-z0-9 ,.:?'-]*\Z")


@lru_cache(_REMEMBERED)
def plain_heading(raw: str) -> str:
    """A heading as people read it: no markup, one line, at most 120 characters."""
    if not raw.replace(" ", "").isalnum() and not _PLAIN.match(raw):
        raw = _TAG.sub("", _EXPLICIT_ID.sub("", raw))
        raw = _IMAGE_OR_LINK.sub(r"\1", _IMAGE_OR_LINK.sub(r"\1", raw))
        raw = _ESCAPE.sub(r"\1", _EMPHASIS.sub("", raw))
    return " ".join(raw.split())[:_LONGEST].rstrip()


@lru_cache(_REMEMBERED)
def slug(heading: str) -> str:
    hyphened = heading.lower().replace(" ", "-")
    return hyphened if hyphened.replace("-", "").isalnum() else _NOT_IN_SLUG.sub("", hyphened)


class Outline:
    """The open headings while a document is read from top to bottom."""

    def __init__(self) -> None:
        self._open: list[tuple[int, Section]] = []
        self._used: dict[str, int] = {}

    @property
    def current(self) -> Section:
        return self._open[-1][1] if self._open else Section()

    def open(self, level: int, raw: str, named: str = "") -> Section:
        """Enter the section that this heading opens; `named` is an anchor the author put before it."""
        opened = self._open
        while opened and opened[-1][0] >= level:
            opened.pop()
        raw = raw[:_LONGEST_READ]
        heading = plain_heading(raw)
        path = (*opened[-1][1].path, heading) if opened else (heading,)
        section = Section(path, self._anchor(heading, raw, named))
        opened.append((level, section))
        return section

    def _anchor(self, heading: str, raw: str, named: str) -> str:
        explicit = _EXPLICIT_ID.search(raw) if raw.endswith(("}", " ", "\t")) else None
        if explicit or named:
            return (explicit[1] if explicit else named)[:_LONGEST]
        inline = _NAMED_ANCHOR.search(raw) if "<" in raw else None
        return inline[1][:_LONGEST] if inline else self._unused(slug(heading))

    def _unused(self, wanted: str) -> str:
        used = self._used
        if wanted not in used:
            used[wanted] = 0
            return wanted
        number = used[wanted] + 1
        while (anchor := f"{wanted}-{number}") in used:
            number += 1
        used[wanted] = number
        used[anchor] = 0
        return anchor


def named_anchor(html: str) -> str:
    """The id of an `<a id=…>` or `<a name=…>` that stands alone before a heading, or nothing."""
    found = _NAMED_ANCHOR.match(html.lstrip()) if len(html) < _LONGEST_READ else None
    return found[1] if found else ""
