"""One transaction of one workspace or of the queues: plain SQL in, rows out, events out through the outbox."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from libs.common.events.event import Event
from libs.common.outbox import writer

if TYPE_CHECKING:
    from libs.common.database.pool import Connection

Row: TypeAlias = asyncpg.Record
_NAMED = re.compile(r"(?<![:\w]):(\w+)(?!:)")


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[str, tuple[str, ...]]:
    """With the driver's `$1` for each `:name`, and the names in their order."""
    places: dict[str, int] = {}
    text = _NAMED.sub(lambda found: f"${places.setdefault(found[1], len(places) + 1)}", sql)
    return text, tuple(places)


class Transaction:
    """SQL uses `:name` parameters; write casts as CAST(:name AS type), never `:name::type`.

    `workspace` is None in a queue transaction (worker role).
    """

    def __init__(self, connection: Connection, *, workspace: str | None, service: str) -> None:
        self._connection = connection
        self.workspace = workspace
        self.service = service
        self.emitted = False

    async def execute(self, sql: str, **parameters: object) -> int:
        """Runs a statement; answers the number of rows it touched."""
        text, names = _statement(sql)
        told = await self._connection.execute(text, *(parameters[name] for name in names))
        count = told.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: str, rows: Iterable[Mapping[str, object]]) -> None:
        text, names = _statement(sql)
        listed = [[row[name] for name in names] for row in rows]
        if listed:
            await self._connection.executemany(text, listed)

    async def fetch_all(self, sql: str, **parameters: object) -> Sequence[Row]:
        text, names = _statement(sql)
        return await self._connection.fetch(text, *(parameters[name] for name in names))

    async def fetch_one(self, sql: str, **parameters: object) -> Row | None:
        return next(iter(await self.fetch_all(sql, **parameters)), None)

    async def fetch_value(self, sql: str, **parameters: object) -> Any:
        """The first column of the first row, or None."""
        row = await self.fetch_one(sql, **parameters)
        return None if row is None else row[0]

    async def driver(self) -> asyncpg.Connection[Any]:
        """The asyncpg connection inside this transaction, for a measured hot path (unnest, COPY)."""
        return self._connection

    async def emit(self, *events: Event) -> None:
        """The only way to publish: rows of this transaction, sent by the relay after the commit."""
        if events:
            await writer.write(self, events)
            self.emitted = True
