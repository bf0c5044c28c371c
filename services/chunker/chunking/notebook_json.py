"""Where the words of a Jupyter notebook stand in its JSON: its cells, what they hold and what they put out.

The document is decoded by the standard library, member by member, so that every value is known with its place.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder(strict=False)
_BLANKS = re.compile(r"[ \t\n\r]*+")
_SIGN = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]|[^\\]"
SIGNS = re.compile(_SIGN, re.DOTALL)
_PIECE = re.compile(rf"(?:(?!\\n)(?:{_SIGN})){{0,400}}+(?:\\n)?+", re.DOTALL)  # a line, a part of one if it is long
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LONGEST_OUTPUT, _MOST_OUTPUTS = 1000, 64
_MOST_CELLS = 10_000  # with more of them it is something else
_DEEPEST_INDENT = 64
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Run(NamedTuple):
    """Characters of a JSON string and what they say; `place` is where a chunk that opens with them begins."""

    place: int
    start: int
    end: int
    said: str


class Part(NamedTuple):
    """What is read together: `kind` is markdown, code or plain; or a picture, which says nothing."""

    kind: str
    runs: list[Run]


class Cell(NamedTuple):
    start: int
    anchor: str
    parts: list[Part]


class Notebook(NamedTuple):
    language: str
    cells: list[Cell]


def read_notebook(text: str) -> Notebook | None:
    """None for what is no notebook of the fourth format: it is read as plain text."""
    try:
        found: Any = json.loads(text, strict=False)
        listed = found.get("cells") if isinstance(found, dict) else None
        if not isinstance(listed, list) or len(listed) > _MOST_CELLS:
            return None
        cells = list(_cells(text, _values(text, _start(text), "cells")[-1]))
    except (ValueError, RecursionError):
        return None
    return Notebook(_language(found.get("metadata")), cells)


def said(raw: str) -> str:
    """What the characters of a JSON string say; as many of them whatever they are."""
    decoded: str = _DECODER.decode(f'"{raw}"') if "\\" in raw else raw
    return decoded if decoded.isascii() and "\0" not in decoded else _UNSTORABLE.sub("\ufffd", decoded)


def _language(metadata: Any) -> str:
    told = metadata if isinstance(metadata, dict) else {}
    for holder, key in (("kernelspec", "language"), ("language_info", "name")):
        name = told[holder].get(key) if isinstance(told.get(holder), dict) else None
        if isinstance(name, str):
            return "python" if name.lower() in ("ipython", "python3") else name.lower()
    return ""


def _cells(text: str, at: int) -> Iterator[Cell]:
    for number, (_, start, _) in enumerate(_members(text, at), 1):
        cell = _DECODER.raw_decode(text, start)[0]
        if isinstance(cell, dict):
            name = cell.get("id")
            told = isinstance(name, str) and _IDENTIFIER.match(name)
            yield Cell(start, f"cell-id={name}" if told else f"cell={number}", list(_parts(text, start, cell)))


def _parts(text: str, at: int, cell: dict[str, Any]) -> Iterator[Part]:
    kinds = {"markdown": "markdown", "code": "code"}
    kind = cell.get("cell_type")
    for name, start, _ in _members(text, at):
        if name == "source":
            runs = list(_runs(text, start))
            if runs:
                yield Part(kinds.get(kind, "plain") if isinstance(kind, str) else "plain", runs)
        elif name == "outputs" and isinstance(cell["outputs"], list):
            for _, output, _ in islice(_members(text, start), _MOST_OUTPUTS):
                yield from _output(text, output)


def _output(text: str, at: int) -> Iterator[Part]:
    """What a stream, a result or an error says in plain text; of a picture nothing, not even its size."""
    output = _DECODER.raw_decode(text, at)[0]
    if not isinstance(output, dict):
        return
    wanted = [(at, name) for name in ("text", "ename", "evalue")]
    data = output.get("data")
    if isinstance(data, dict) and any(name.startswith("image/") for name in data):
        yield Part("picture", [Run(line_start(text, at), at, at, "")])
    elif isinstance(data, dict):
        wanted += [(start, "text/plain") for start in _values(text, at, "data")]
    for holder, name in wanted:
        runs = [run for start in _values(text, holder, name) for run in _bounded(_runs(text, start))]
        if runs:
            yield Part("plain", runs)


def _bounded(runs: Iterator[Run]) -> Iterator[Run]:
    length = 0
    for run in runs:
        if length + len(run.said) > _LONGEST_OUTPUT:
            return
        length += len(run.said)
        yield run


def _runs(text: str, at: int) -> Iterator[Run]:
    """Of a string, or of the strings of a list."""
    if text[at] == "[":
        for _, start, _ in _members(text, at):
            if text[start] == '"':
                yield from _runs(text, start)
    elif text[at] == '"':
        end = _DECODER.raw_decode(text, at)[1] - 1
        start = at + 1
        while start < end:
            stop = _PIECE.match(text, start, end).end()  # type: ignore[union-attr]  # it may match nothing
            yield Run(line_start(text, at) if start == at + 1 else start, start, stop, said(text[start:stop]))
            start = stop


def line_start(text: str, at: int) -> int:
    """Where the line begins, if only blanks stand before, not more of them than people indent by."""
    before = text[max(at - _DEEPEST_INDENT, 0) : at]
    words = before.rstrip(" \t")
    return at - len(before) + len(words) if words.endswith("\n") else at


def _values(text: str, at: int, wanted: str) -> list[int]:
    """Where the values of that name begin in the object at that place; a name may stand there twice."""
    return [start for name, start, _ in _members(text, at) if name == wanted]


def _members(text: str, at: int) -> Iterator[tuple[str | None, int, int]]:
    """Name and place of each value in an object or, without names, in a list; of anything else none."""
    opening = text[at]
    if opening not in "{[":
        return
    at = _past_blanks(text, at + 1)
    while text[at] not in "}]":
        name = None
        if opening == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _past_blanks(text, _past_blanks(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        yield name, at, end
        at = _past_blanks(text, end)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)


def _start(text: str) -> int:
    return _past_blanks(text, 0)


def _past_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at
