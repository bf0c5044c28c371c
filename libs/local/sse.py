"""Server-sent events as a client reads them (WHATWG HTML, section 9.2.6): id, name and data of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    data: str


def server_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Comments keep a connection alive and mean nothing; an event that the connection cut off is not given out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not line and "data" in fields:
            yield ServerEvent(id=fields.get("id", ""), name=fields.get("event", "message"), data=fields["data"])
            fields = {}
        elif name == "data" and "data" in fields:
            fields["data"] += f"\n{value.removeprefix(' ')}"
        elif name:
            fields[name] = value.removeprefix(" ")
