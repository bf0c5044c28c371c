"""The request log: what a client really asked, so that a test can count pages, repeats and free answers."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from libs.sandbox.contract import pattern


class Entry(msgspec.Struct, rename="camel", kw_only=True):
    """`etag` tells whether a conditional request was answered "not modified" (hit), not (miss), or was none."""

    seq: int
    time: float
    method: str
    path: str
    status: int
    bytes: int
    milliseconds: float
    etag: str | None = None
    fault: str | None = None


class RequestLog:
    """In memory and as JSON lines under the state folder, so that it survives a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[Entry] = _read(path)
        self._last = self._entries[-1].seq if self._entries else 0
        self._file = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()

    def add(
        self, *, method: str, path: str, status: int, size: int, began: float, etag: str | None, fault: str | None
    ) -> None:
        """`began` is a perf_counter reading; a status of 0 means that no answer was sent."""
        self._last += 1
        entry = Entry(
            seq=self._last, time=round(time.time(), 3), method=method, path=path, status=status, bytes=size,
            milliseconds=round((time.perf_counter() - began) * 1000, 2), etag=etag, fault=fault,
        )  # fmt: skip
        self._entries.append(entry)
        self._file.write(self._encoder.encode(entry) + b"\n")

    def since(self, seq: int, match: str | None = None) -> list[Entry]:
        expression = pattern(match)
        return [e for e in self._entries if e.seq > seq and (expression is None or expression.search(e.path))]

    @property
    def last(self) -> int:
        return self._last

    def clear(self) -> int:
        """Empties the log; numbers go on, so a `since` taken before stays right."""
        count = len(self._entries)
        self._entries.clear()
        self._file.truncate(0)
        return count

    def close(self) -> None:
        self._file.close()


def _read(path: Path) -> list[Entry]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return []
    whole = path.read_bytes()
    # A killed sandbox may leave half a line; everything before it counts.
    end = whole.rfind(b"\n") + 1
    if end != len(whole):
        path.write_bytes(whole[:end])
    return [msgspec.json.decode(line, type=Entry) for line in whole[:end].splitlines()]
