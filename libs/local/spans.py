"""Finished spans as the services write them: found by any id that a person has at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from libs.common.telemetry.spans import SpanLine

# What a person copies from an answer, a list or a log.
NAMED_BY = ("delivery_id", "delivery", "run_id", "run", "source_id", "source", "event_id", "request_id")
SHORTEST_PREFIX = 8


def read_spans(folder: Path) -> Iterator[SpanLine]:
    """Every span of every service, also of the file that was rotated away; a half-written last line is left out."""
    decoder = msgspec.json.Decoder(SpanLine)
    for path in sorted(folder.glob("*.jsonl*")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield decoder.decode(line)


def trace_of(spans: Iterable[SpanLine], key: str) -> list[SpanLine]:
    """The spans of the newest trace that has this id, or begins with it, or carries it; oldest span first."""
    everything = list(spans)
    wanted = key.strip().lower()
    found = [one for one in everything if _names(one, wanted)]
    if not found:
        return []
    newest = max(found, key=lambda one: one.start).trace_id
    return sorted((one for one in everything if one.trace_id == newest), key=lambda one: (one.start, one.end))


def _names(one: SpanLine, wanted: str) -> bool:
    if len(wanted) >= SHORTEST_PREFIX and one.trace_id.startswith(wanted):
        return True
    return bool(wanted) and any(str(one.attributes.get(name, "")).lower() == wanted for name in NAMED_BY)


def children_of(spans: Sequence[SpanLine]) -> dict[str | None, list[SpanLine]]:
    """Parent id → spans in time order; None holds the roots: spans whose parent was not recorded."""
    ids = {one.span_id for one in spans}
    found: dict[str | None, list[SpanLine]] = {}
    for one in spans:
        parent = one.parent_span_id if one.parent_span_id in ids else None
        found.setdefault(parent, []).append(one)
    return found
