"""A finished span as services write it, for those who only read it: they need no tracing of their own."""

from __future__ import annotations

import msgspec

Value = str | bool | int | float


class SpanLine(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """One finished span as it stands in the file; times are nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str
    kind: str
    service: str
    start: int
    end: int
    status: str
    attributes: dict[str, Value] = {}
    links: list[str] = []
