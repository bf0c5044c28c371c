"""A process that can die without one: what it had in memory is gone, and it never writes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.testing.crashpoints import ProcessDied

COMMITTING, COMMITTED, ASKED = "committing", "committed", "asked"


class Life:
    """Dies at the n-th time that it comes by `point`: a crash point's name, or one of the three above."""

    def __init__(self) -> None:
        self.dead_at = ""
        self.passed: Counter[str] = Counter()
        self._order: tuple[str, int] | None = None

    def die_at(self, point: str, nth: int) -> None:
        self._order = (point, self.passed[point] + nth)

    def live_on(self) -> None:
        self._order = None

    def pass_by(self, point: str) -> None:
        self.check()
        self.passed[point] += 1
        if self._order is not None and self._order[0] == point and self.passed[point] >= self._order[1]:
            self.dead_at = point
            raise ProcessDied(point)

    def check(self) -> None:
        """The dead do nothing more, whatever they tidy up on the way out."""
        if self.dead_at:
            raise ProcessDied(f"dead since {self.dead_at}")


class MortalDatabase(Database):
    """The pools of another one, used by one life."""

    def __init__(self, pools: Database, life: Life) -> None:
        self.service, self.outbox_written = pools.service, pools.outbox_written
        self._app, self._worker, self._life = pools._app, pools._worker, life

    @asynccontextmanager
    async def _open(self, engine: Any, workspace: str | None) -> AsyncIterator[Transaction]:
        self._life.check()
        async with super()._open(engine, workspace) as tx:
            yield tx
            self._life.pass_by(COMMITTING)
        self._life.pass_by(COMMITTED)
