"""Memory on disk: one line per transaction, so that a kill loses at most the change that was being made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

# Kind, id, and the record as it now is; GONE for one that is no more.
Written = tuple[str, int, msgspec.Raw]
GONE = msgspec.Raw(b"null")
Held = dict[tuple[str, int], msgspec.Raw]


class Journal:
    """Appends; at the next start only what still holds is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[Written] | None = None
        self.held = self._replay()
        self._file = path.open("ab", buffering=0)

    def write(self, rows: list[Written]) -> None:
        if self._open is not None:
            self._open += rows
        elif rows:
            self._file.write(_line(rows))

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All that is written inside becomes one transaction, or nothing of it is there at the next start."""
        rows: list[Written] = []
        self._open = rows
        try:
            yield
        finally:
            self._open = None
        self.write(rows)

    def close(self) -> None:
        self._file.close()

    def _replay(self) -> Held:
        held: Held = {}
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        for line in lines:
            # Only the last line can be half; what it would have said never happened.
            if line.endswith(b"\n"):
                _apply(held, msgspec.json.decode(line, type=list[Written]))
        if lines:
            self._rewrite(held)
        return held

    def _rewrite(self, held: Held) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(_line([(kind, identity, body) for (kind, identity), body in held.items()]))
        fresh.replace(self._path)


def _apply(held: Held, rows: list[Written]) -> None:
    for kind, identity, body in rows:
        if bytes(body) == bytes(GONE):
            held.pop((kind, identity), None)
        else:
            held[kind, identity] = body


def _line(rows: list[Written]) -> bytes:
    return msgspec.json.encode(rows) + b"\n"
