"""MDX: where the opening tag of a component ends, whatever blank lines and headings its attributes hold."""

import re
import sys
from functools import cache

_OPENING = re.compile(r"<[A-Z][\w.:-]*+(?=[ \t]*+\n|[ \t]++[\w{])")
_PLAIN = r"\"[^\"\n]*+\""
_SINGLE, _DOUBLE = r"'(?:[^'\\\n]++|\\.)*+'", r"\"(?:[^\"\\\n]++|\\.)*+\""
_ATTRIBUTES = re.compile(rf"(?:[\w:.=/ \t-]++|\n(?![ \t]*+\n)|{_PLAIN}|{_SINGLE})*+")
_ESCAPED = re.compile(r"(?:[^`\\]++|\\.)*+", re.DOTALL)
_MODULE = re.compile(
    r"(?:import[ \t]++(?:[\w{*][^\n]*?\bfrom\b|[\"'])|export[ \t]++(?:const|let|default|function|async)\b)"
)


def is_module_code(text: str, at: int) -> bool:
    """Whether the paragraph imports or exports instead of saying something."""
    return _MODULE.match(text, at) is not None


def tag_end(text: str, at: int) -> int:
    """Where the tag of a component that opens at `at` ends if that is not on its first line; 0 if none does.

    An expression that never closes reaches to the end of the text, as an open fence does.
    """
    opening = _OPENING.match(text, at)
    if not opening:
        return 0
    at, first_line_end = opening.end(), text.find("\n", at)
    while True:
        at = _end(_ATTRIBUTES, text, at)
        mark = text[at : at + 1]
        if mark == "{":
            at = _expression_end(text, at + 1)
            if at == len(text):
                return at
        else:
            return at + 1 if mark == ">" and 0 <= first_line_end < at else 0


def _expression_end(text: str, at: int) -> int:
    """A quote whose string does not end on its line opens none, and none of its kind after it on that line does."""
    depth = 1
    templates = True  # a template that does not close is none, and none after it is
    unclosed, stop = "", len(text)
    while depth:
        at = _end(_in_expression(unclosed), text, at, stop)
        mark = text[at : at + 1]
        if not mark:
            return at
        if at == stop:
            unclosed, stop = "", len(text)
        elif mark in "\"'":
            unclosed, stop = unclosed + mark, text.find("\n", at) + 1 or len(text)
        elif mark == "`":
            closed = _end(_ESCAPED, text, at + 1) if templates else len(text)
            templates = closed < len(text)
            at = closed + 1 if templates else at + 1
        else:
            at, depth = at + 1, depth + (1 if mark == "{" else -1)
    return at


@cache
def _in_expression(unclosed: str) -> re.Pattern[str]:
    """What stands between two signs that count. A double quote that ends no JavaScript string may end one of JSX, which
    knows no escapes; braces with none inside are read at once."""
    single = "'" if "'" in unclosed else _SINGLE
    double = rf"{_PLAIN}|\"" if '"' in unclosed else _DOUBLE
    words = rf"[^{{}}\"'`]++|{double}|{single}"
    return re.compile(rf"(?:{words}|\{{(?:{words})*+\}})*+")


def _end(pattern: re.Pattern[str], text: str, at: int, stop: int = sys.maxsize) -> int:
    found = pattern.match(text, at, stop)
    return found.end() if found else at
