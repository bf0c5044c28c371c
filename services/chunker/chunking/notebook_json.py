"""Where the words of a Jupyter notebook stand in its JSON: its cells, what they hold and what they put out.

The document is decoded by the standard library, member by member, so that every value is known with its place.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder(strict=False)
_BLANKS = re.compile(r"[ \t\n\r]*+")
_SIGN = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]|[^\\]"
SIGNS = re.compile(_SIGN, re.DOTALL)
_PIECE = re.compile(rf"(?:(?!\\n)(?:{_SIGN})){{0,400}}+(?:\\n)?+", re.DOTALL)  # a line, a part of one if it is long
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LONGEST_OUTPUT = 1000
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Run(NamedTuple):
    """Characters of a JSON string and what they say; `place` is where a chunk that opens with them begins."""

    place: int
    start: int
    end: int
    said: str


class Part(NamedTuple):
    """What is read together: `kind` is markdown, code or plain."""

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
        if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
            return None
        cells = [cell for at in _values(text, _start(text), "cells") for cell in _cells(text, at)]
    except (ValueError, RecursionError):
        return None
    return Notebook(_language(found.get("metadata")), cells)


def said(raw: str) -> str:
    """What the characters of a JSON string say; as many of them whatever they are."""
    decoded: str = _DECODER.decode(f'"{raw}"')
    return _UNSTORABLE.sub("\ufffd", decoded)


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
            for _, output, _ in _members(text, start):
                yield from _output(text, output)


def _output(text: str, at: int) -> Iterator[Part]:
    """What a stream, a result or an error says in plain text; of a picture nothing, not even its size."""
    output = _DECODER.raw_decode(text, at)[0]
    if not isinstance(output, dict):
        return
    wanted = [(at, name) for name in ("text", "ename", "evalue")]
    data = output.get("data")
    if isinstance(data, dict) and not any(name.startswith("image/") for name in data):
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
            yield Run(_line_start(text, at) if start == at + 1 else start, start, stop, said(text[start:stop]))
            start = stop


def _line_start(text: str, at: int) -> int:
    line = text.rfind("\n", 0, at) + 1
    return line if text[line:at].isspace() else at


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
