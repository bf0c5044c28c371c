"""Lists and quotes of Markdown read line by line: where they end, and the fences inside that must stay whole."""

import re
from collections.abc import Callable

Interrupts = Callable[[str, int], bool]
Spans = tuple[tuple[int, int], ...]

_DEEPEST = 32  # items inside items; more is hostile, and every line costs its depth
_MARKER = re.compile(r"(?:[-+*]|\d{1,9}[.)])(?=[ \t\n]|\Z)")
_ANY_ITEM = re.compile(r"[ ]{0,3}(?:[-+*]|\d{1,9}[.)])(?=[ \t\n]|\Z)")
_RULE = re.compile(r"(?:(?:-[ \t]*+){3,}+|(?:_[ \t]*+){3,}+|(?:\*[ \t]*+){3,}+)(?:\n|\Z)")
_FENCE = re.compile(r"(`{3,}+)[^`\n]*+(?:\n|\Z)|(~{3,}+)")
_CLOSER = re.compile(r"(`{3,}+|~{3,}+)[ \t]*+(?:\n|\Z)")
_QUOTE_PREFIX = re.compile(r"[ ]{0,3}>[ \t]?")
_INNER_PREFIX = re.compile(r"(?:[ \t]*+(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))*+[ \t]*+")
_NO_PARAGRAPH = re.compile(r"(?:\#{1,6}(?:[ \t\n]|\Z)|\n|\Z)")


class _Fence:
    """The open fence inside a container, if any, and those already closed."""

    def __init__(self) -> None:
        self.opened = -1
        self.marks = ""
        self.done: list[tuple[int, int]] = []

    def open(self, at: int, marks: str) -> None:
        self.opened, self.marks = at, marks

    def close(self, at: int) -> None:
        if self.opened >= 0:
            self.done.append((self.opened, at))
        self.opened = -1

    def closed_by(self, found: re.Match[str] | None) -> bool:
        return found is not None and found[1][0] == self.marks[0] and len(found[1]) >= len(self.marks)


def _indent(text: str, at: int) -> tuple[int, int]:
    """Columns of blanks at the start of a line (tabs to the next multiple of four) and where they end."""
    columns = 0
    while True:
        char = text[at : at + 1]
        if char == " ":
            columns += 1
        elif char == "\t":
            columns += 4 - columns % 4
        else:
            return columns, at
        at += 1


class _List:
    """The state of one top-level list: content columns of the open items, an open fence, an open paragraph."""

    def __init__(self, text: str, interrupts: Interrupts) -> None:
        self.text, self.interrupts = text, interrupts
        self.columns: list[int] = []
        self.fence = _Fence()
        self.paragraph = self.empty = False

    def pass_blank(self) -> None:
        """An item whose first line is empty ends with the next blank line."""
        if self.empty:
            self.columns.pop()
        self.empty = self.paragraph = False

    def takes(self, at: int, columns: int, content: int, after_blank: bool) -> bool:
        """Whether the line at `at`, which is not blank, belongs to the list; reads it if so."""
        if self.fence.opened >= 0 and columns >= self.columns[-1]:
            return self._read_in_fence(at, columns, content)
        self.fence.close(at)
        lazy = self.paragraph and not after_blank
        kept = [c for c in self.columns if c <= columns]
        if self._opens_item(kept, columns, content, lazy):
            self.columns = kept
            return self._read_content(at, columns, content)
        if kept and (len(kept) == len(self.columns) or not lazy or self.interrupts(self.text, content)):
            self.columns = kept
            return self._read_content(at, columns, content)
        return lazy and (columns > 3 or not self.interrupts(self.text, at))

    def _opens_item(self, kept: list[int], columns: int, content: int, lazy: bool) -> bool:
        base = kept[-1] if kept else 0
        if columns - base > 3 or not _MARKER.match(self.text, content):
            return False
        return bool(kept) or not _RULE.match(self.text, content)

    def _read_in_fence(self, at: int, columns: int, content: int) -> bool:
        if columns - self.columns[-1] <= 3 and self.fence.closed_by(_CLOSER.match(self.text, content)):
            self.fence.close(self.text.find("\n", at) + 1 or len(self.text))
            self.paragraph = False
        return True

    def _read_content(self, at: int, columns: int, content: int) -> bool:
        """Markers first, as many as the line opens, then what the innermost item holds."""
        base = self.columns[-1] if self.columns else 0
        self.empty = False
        while columns - base <= 3 and len(self.columns) < _DEEPEST and not _RULE.match(self.text, content):
            marker = _MARKER.match(self.text, content)
            if not marker:
                break
            columns, content, base = self._open_item(columns, marker)
        indented = columns - base > 3
        found = None if indented else _FENCE.match(self.text, content)
        if found:
            self.fence.open(at, found[1] or found[2])
        no_words = found or (indented and not self.paragraph) or _NO_PARAGRAPH.match(self.text, content)
        self.paragraph = not no_words
        return True

    def _open_item(self, columns: int, marker: re.Match[str]) -> tuple[int, int, int]:
        width = marker.end() - marker.start()
        after, content = _columns_after(self.text, marker.end(), columns + width)
        blank = self.text[content : content + 1] in ("\n", "")
        base = columns + width + 1 if blank or after - columns - width > 4 else after
        self.columns.append(base)
        self.empty, self.paragraph = blank, False
        return after, content, base


def _columns_after(text: str, at: int, columns: int) -> tuple[int, int]:
    while text[at : at + 1] in (" ", "\t") and at < len(text):
        columns += 1 if text[at] == " " else 4 - columns % 4
        at += 1
    return columns, at


def list_end(text: str, at: int, interrupts: Interrupts) -> tuple[int, Spans]:
    """Where the list that starts at `at` ends (blank lines after it left out), and its fences."""
    state = _List(text, interrupts)
    stop = at
    after_blank = False
    while at < len(text):
        following = text.find("\n", at) + 1 or len(text)
        columns, content = _indent(text, at)
        if text[content : content + 1] in ("\n", ""):
            after_blank = True
            state.pass_blank()
        elif state.takes(at, columns, content, after_blank):
            stop, after_blank = following, False
        else:
            break
        at = following
    if at >= len(text) and state.fence.opened >= 0:
        stop = len(text)
    state.fence.close(stop)
    return stop, tuple(state.fence.done)


def quote_end(text: str, at: int, interrupts: Interrupts) -> tuple[int, Spans]:
    """Where the quote that starts at `at` ends, and its fences."""
    fence = _Fence()
    paragraph = False
    while at < len(text):
        following = text.find("\n", at) + 1 or len(text)
        prefix = _QUOTE_PREFIX.match(text, at)
        if prefix:
            paragraph = _read_quoted(text, at, following, prefix.end(), fence)
        elif not paragraph or interrupts(text, at) or _ANY_ITEM.match(text, at) or not text[at:following].strip():
            break
        at = following
    fence.close(at)
    return at, tuple(fence.done)


def _read_quoted(text: str, at: int, following: int, content: int, fence: _Fence) -> bool:
    """Reads one line behind its quote mark; true when a paragraph is left open."""
    inner = _INNER_PREFIX.match(text, content, following)
    content = inner.end() if inner else content
    if fence.opened >= 0:
        if fence.closed_by(_CLOSER.match(text, content)):
            fence.close(following)
        return False
    found = _FENCE.match(text, content)
    if found:
        fence.open(at, found[1] or found[2])
    return not (found or _NO_PARAGRAPH.match(text, content) or _RULE.match(text, content))
