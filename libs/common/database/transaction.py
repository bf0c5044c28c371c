"""One transaction of one workspace or of the queues: plain SQL in, rows out, events out through the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.events.event import Event
from libs.common.outbox import writer

if TYPE_CHECKING:
    import asyncpg

Row = RowMapping


@lru_cache(maxsize=1024)
def _statement(sql: str) -> TextClause:
    return text(sql)


class Transaction:
    """SQL uses `:name` parameters; write casts as CAST(:name AS type), never `:name::type`.

    `workspace` is None in a queue transaction (worker role).
    """

    def __init__(self, connection: AsyncConnection, *, workspace: str | None, service: str) -> None:
        self._connection = connection
        self.workspace = workspace
        self.service = service
        self.emitted = False

    async def execute(self, sql: str, **parameters: object) -> int:
        """Runs a statement; answers the number of rows it touched."""
        return (await self._connection.execute(_statement(sql), parameters)).rowcount

    async def execute_many(self, sql: str, rows: Iterable[Mapping[str, object]]) -> None:
        listed = list(rows)
        if listed:
            await self._connection.execute(_statement(sql), listed)

    async def fetch_all(self, sql: str, **parameters: object) -> Sequence[Row]:
        return (await self._connection.execute(_statement(sql), parameters)).mappings().all()

    async def fetch_one(self, sql: str, **parameters: object) -> Row | None:
        return (await self._connection.execute(_statement(sql), parameters)).mappings().first()

    async def fetch_value(self, sql: str, **parameters: object) -> Any:
        """The first column of the first row, or None."""
        return (await self._connection.execute(_statement(sql), parameters)).scalar()

    async def driver(self) -> asyncpg.Connection[Any]:
        """The asyncpg connection inside this transaction, for a measured hot path (unnest, COPY)."""
        raw = await self._connection.get_raw_connection()
        driver = cast("asyncpg.Connection[Any]", raw.driver_connection)
        if not driver.is_in_transaction():  # it begins with the first statement that SQLAlchemy sends
            await self.execute("SELECT true")
        return driver

    async def emit(self, *events: Event) -> None:
        """The only way to publish: rows of this transaction, sent by the relay after the commit."""
        if events:
            await writer.write(self, events)
            self.emitted = True
