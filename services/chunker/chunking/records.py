"""Tables as text (CSV, TSV) become units: a unit a record, whose quoted fields may hold line ends of their own."""

import re
from collections.abc import Iterator

from services.chunker.chunking.model import ITEM, Section, Unit
from services.chunker.chunking.splitting import prose_units, spans, starts_exact
from services.chunker.chunking.tokens import counter

_DELIMITERS = ",\t;|"
_LONGEST_HEADER = 300
_SMALLEST = 4  # records shorter than this part of a budget are counted with the next one


def record_units(text: str, budget: int) -> list[Unit]:
    """The first record names the columns: the context of every chunk after the first repeats it."""
    starts = list(_starts(text))
    header = text[: starts[1] if len(starts) > 1 else len(text)].strip()[:_LONGEST_HEADER]
    units: list[Unit] = []
    for start, end in spans(list(_thinned(starts, budget // _SMALLEST)), len(text)):
        units += _units(text, start, end, header if start else "", budget)
    return units


def _units(text: str, start: int, end: int, header: str, budget: int) -> list[Unit]:
    tokens = counter()(text[start:end])
    if tokens <= budget:
        return [Unit(start, tokens, ITEM, Section(), starts_exact(text, start), header)]
    units = prose_units(text, start, end, Section(), budget)
    units[0].rank, units[0].exact = ITEM, starts_exact(text, start)
    for unit in units:
        unit.header = header
    return units


def _thinned(starts: list[int], least: int) -> Iterator[int]:
    yield starts[0]
    last = starts[0]
    for at in starts[1:]:
        if at - last >= least:
            yield at
            last = at


def _starts(text: str) -> Iterator[int]:
    """Where records start. A quote opens a field only at its start, and only if it is closed again."""
    head = text[: text.find("\n") + 1 or len(text)]
    delimiter = re.escape(max(_DELIMITERS, key=head.count))
    plain = re.compile(
        rf"(?:(?:[^\n\"{delimiter}][^\n{delimiter}]*+)?{delimiter})*+(?:[^\n\"{delimiter}][^\n{delimiter}]*+)?"
    )
    quoted = re.compile(r"\"(?:[^\"]++|\"\")*+(\"?)")
    loose = re.compile(rf"[^\n{delimiter}]*+{delimiter}?")
    yield 0
    at, quotes = 0, True
    while at < len(text):
        at = _end(plain, text, at)
        if quotes and text[at : at + 1] == '"':
            found = quoted.match(text, at)
            quotes = found is not None and bool(found[1])
            at = found.end() if found and quotes else at
        if text[at : at + 1] not in ("\n", ""):
            at = _end(loose, text, at)
        elif at + 1 < len(text):
            at += 1
            yield at
        else:
            return


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
