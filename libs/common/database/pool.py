"""Connections of one role, used in turns: BEGIN proves that one is alive, and nothing is asked beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import msgspec

from libs.common.database.absence import DRIVER_ERRORS, is_away

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_SECONDS = 5.0
WAIT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
ROLL_BACK_SECONDS = 2.0


class Pool:
    """At most `size` connections, made when they are needed; the one that was used last is used next."""

    def __init__(self, url: str, size: int, settings: Mapping[str, str]) -> None:
        self._url = url
        self._size = size
        self._settings = dict(settings)
        self._turns = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closed = False
        self.in_use = 0

    @asynccontextmanager
    async def transaction(self, workspace: str | None, mode: str = "") -> AsyncIterator[Connection]:
        """Commits on success, rolls back on error. Raises TimeoutError when no connection comes free in time."""
        connection = await self._begun(_begin(workspace, mode))
        try:
            yield connection
            await connection.execute("COMMIT")
        except BaseException:
            await _roll_back(connection)
            raise
        finally:
            self.give_back(connection)

    async def _begun(self, begin: str) -> Connection:
        """One that died while nobody used it says so before anything was done with it: the next one is taken."""
        for left in reversed(range(self._size + 1)):
            connection = await self.take()
            try:
                await connection.execute(begin)
                break
            except BaseException as error:
                connection.terminate()
                self.give_back(connection)
                if not left or not is_away(error):
                    raise
        return connection

    async def take(self) -> Connection:
        async with asyncio.timeout(WAIT_SECONDS):
            await self._turns.acquire()
        self.in_use += 1
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await self._connect()
        except BaseException:
            self._end_turn()
            raise

    def give_back(self, connection: Connection) -> None:
        """What is left in the middle of something is of no use to anybody."""
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)
        self._end_turn()

    async def close(self) -> None:
        """Those in use end when they are given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close(timeout=CLOSE_SECONDS)

    def _end_turn(self) -> None:
        self.in_use -= 1
        self._turns.release()

    async def _connect(self) -> Connection:
        connection = await asyncpg.connect(self._url, server_settings=self._settings, timeout=CONNECT_SECONDS)
        try:
            await _read_json(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection


def _begin(workspace: str | None, mode: str) -> str:
    """One round trip for both: each statement of a transaction comes after it."""
    if workspace is None:
        return f"BEGIN {mode}"
    if "\0" in workspace:
        raise ValueError("a workspace's name holds no U+0000")
    quoted = workspace.replace("'", "''")
    return f"BEGIN {mode}; SELECT set_config('app.workspace', '{quoted}', true)"


async def _roll_back(connection: Connection) -> None:
    """Of a connection that has ended, the server does it.

    The cancellation of a statement is a message of its own and may come before the statement, which then goes on:
    it is not waited for, and the connection is not used again.
    """
    try:
        if not connection.is_closed() and connection.is_in_transaction():
            async with asyncio.timeout(ROLL_BACK_SECONDS):
                await connection.execute("ROLLBACK")
    except DRIVER_ERRORS as error:
        if not is_away(error):
            raise


async def _read_json(connection: Connection) -> None:
    """JSON comes as values; it is given as text."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary",
        encoder=lambda text: b"\x01" + text.encode(), decoder=lambda sent: msgspec.json.decode(sent[1:]),
    )  # fmt: skip
    await connection.set_type_codec(
        "json", schema="pg_catalog", format="binary", encoder=str.encode, decoder=msgspec.json.decode
    )
