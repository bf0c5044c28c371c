"""The supervisor's memory on disk: who runs, so that the next one finds what a killed one left behind."""

import signal
from collections.abc import Mapping
from pathlib import Path

import msgspec

from libs.local.identity import Identity
from libs.local.state import write_private


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One process as last seen. `state`: waiting, starting, ready, done, restarting, stopped."""

    state: str
    log: str
    identity: Identity | None = None
    restarts: int = 0
    exit_code: int | None = None
    once: bool = False
    stop_signal: int = int(signal.SIGTERM)
    stop_seconds: float = 10.0


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """What processes.json holds."""

    supervisor: Identity
    processes: dict[str, Entry]
    ready: bool = False
    sandbox: bool = False


class Ledger:
    """Writes processes.json for one supervisor."""

    def __init__(self, path: Path, supervisor: Identity, *, sandbox: bool = False) -> None:
        self._path, self._supervisor, self._sandbox = path, supervisor, sandbox

    def write(self, processes: Mapping[str, Entry], *, ready: bool) -> None:
        page = Page(self._supervisor, dict(processes), ready, self._sandbox)
        write_private(self._path, msgspec.json.format(msgspec.json.encode(page)))


def read_ledger(path: Path) -> Page | None:
    return msgspec.json.decode(path.read_bytes(), type=Page) if path.exists() else None


def end_orphans(path: Path) -> list[str]:
    """Ends what a dead supervisor left running, last started first; answers their names."""
    page = read_ledger(path)
    if page is None:
        return []
    left = {name: entry for name, entry in page.processes.items() if entry.identity and entry.identity.alive()}
    for entry in reversed(left.values()):
        if entry.identity is not None:
            entry.identity.end(entry.stop_signal, entry.stop_seconds)
    return list(left)
