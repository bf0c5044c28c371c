"""The whole installation on ground of its own: asked from outside, killed in parts, and read in SQL for proof."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from libs.common.testing.crashpoints import ORDERS
from libs.common.testing.eventually import eventually
from libs.local.client import Control, Gateway
from libs.local.endpoints import Endpoints, read_credentials
from libs.local.ledger import Entry, read_ledger
from libs.local.state import State
from libs.local.up import down, up

CHECKOUT = Path(__file__).resolve().parents[2]
# What the played repository consists of. `libs` is not among it: a folder of that name would hide our own packages.
CODE = ("docs/decisions", "deploy/gateway", "README.md", ".gitignore")
BACK_SECONDS = 30.0


@dataclass
class Stack:
    root: Path
    endpoints: Endpoints
    door: Gateway
    control: Control
    orders: Path

    @property
    def state(self) -> State:
        return State.at(self.root)

    def entry(self, name: str) -> Entry:
        page = read_ledger(self.state.ledger)
        assert page is not None
        return page.processes[name]

    def signal(self, name: str, number: signal.Signals) -> None:
        identity = self.entry(name).identity
        assert identity is not None, f"{name} does not run"
        assert identity.send(number), f"{name} was gone before the signal"

    def kill(self, *names: str) -> Killed:
        """kill -9 of all at once; gone when this returns. Fails when one of them did not run."""
        before = {name: self.entry(name) for name in names}
        at = datetime.now(UTC)
        for name in names:
            self.signal(name, signal.SIGKILL)
        for entry in before.values():
            assert entry.identity is not None
            assert entry.identity.gone_within(10)
        return Killed(before=before, at=at, dead_at=datetime.now(UTC))

    async def back(self, before: Mapping[str, Entry], seconds: float = BACK_SECONDS) -> None:
        """Returns when the supervisor has brought each of them back, and it answers."""

        def returned() -> None:
            for name, old in before.items():
                now = self.entry(name)
                assert now.state == "ready", f"{name} is {now.state}"
                assert now.identity != old.identity
                assert now.restarts > old.restarts

        await eventually(returned, timeout=seconds)

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """As administrator, who sees every schema; a connection of its own, because Postgres may have been killed."""
        connection = await asyncpg.connect(read_credentials(self.state).admin)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def number(self, sql: str, *arguments: object) -> int:
        return int((await self.rows(sql, *arguments))[0][0] or 0)

    def close(self) -> None:
        self.door.__exit__(None, None, None)
        self.control.close()


@dataclass(frozen=True)
class Killed:
    """`before` are the entries of the dead; the clock was read before the first signal and after the last death."""

    before: Mapping[str, Entry]
    at: datetime
    dead_at: datetime


@contextmanager
def running_stack() -> Iterator[Stack]:
    root = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    orders = root / "orders"
    orders.mkdir()
    _write_checkout(root)
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(ORDERS, str(orders))
            environment.setenv("EMBEDDER", "hash")
            environment.delenv("SLUICE_PORT", raising=False)
            endpoints = up(root, sandbox=True)
        assert endpoints.sandbox is not None
        stack = Stack(root, endpoints, Gateway.of(root), Control(endpoints.sandbox), orders)
        stack.control.ask("POST", "settings", {"rateLimit": 10_000_000})
        yield stack
        stack.close()
    finally:
        down(root)
        shutil.rmtree(root)


def _write_checkout(root: Path) -> None:
    for name in CODE:
        origin, copy = CHECKOUT / name, root / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy)
        else:
            shutil.copyfile(origin, copy)
    with (root / ".gitignore").open("a") as ignored:
        ignored.write("orders/\n")
