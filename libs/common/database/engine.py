"""Two pools a service, from the first day: the app role bound to a workspace, the worker role on the queues."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.database.absence import DRIVER_ERRORS, is_away
from libs.common.database.contention import is_contended
from libs.common.database.pool import Pool
from libs.common.database.transaction import Transaction
from libs.common.errors import Contended, DependencyDown

LIMITS = {
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "transaction_timeout": "60s",  # a forgotten transaction would hold back vacuum and the feed (RELIABILITY L06)
    "idle_in_transaction_session_timeout": "15s",
}
# A plan kept from when a table was empty reads it whole for as long as nobody analyses it: of a first sync's 10,000
# sources that was most of the time. Planning a statement of ours anew takes a tenth of a millisecond.
PLANNING = {"jit": "off", "plan_cache_mode": "force_custom_plan"}
QUOTING = {"standard_conforming_strings": "on"}  # a doubled quote is all that a literal of ours needs
ONE_MOMENT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
_IDENTIFIER = re.compile(r"[a-z_]+")


class Database:
    """Opens transactions; none is ever held across a call to a provider."""

    def __init__(
        self, service: str, *, app_url: str, worker_url: str, app_pool: int = 10, worker_pool: int = 6
    ) -> None:
        self.service = service
        self.outbox_written = asyncio.Event()
        names = {"search_path": f"{service},public", "application_name": f"sluice-{service}"}
        settings = {**LIMITS, **PLANNING, **QUOTING, **names}
        self._app = Pool(app_url, app_pool, settings)
        self._worker = Pool(worker_url, worker_pool, settings)

    @asynccontextmanager
    async def transaction(self, workspace: str) -> AsyncIterator[Transaction]:
        """Commits on success, rolls back on error; sees and writes the rows of `workspace` only."""
        async with self._open(self._app, workspace) as tx:
            yield tx

    @asynccontextmanager
    async def snapshot(self, workspace: str) -> AsyncIterator[Transaction]:
        """Reads only: all its statements see the rows of `workspace` as they were at one moment."""
        async with self._open(self._app, workspace, ONE_MOMENT) as tx:
            yield tx

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[Transaction]:
        """A transaction of the worker role: the named queue tables of every workspace."""
        async with self._open(self._worker, None) as tx:
            yield tx

    async def locate(self, table: str, row_id: str) -> str | None:
        """The workspace of a row, found by id alone; None when there is no such row."""
        if not _IDENTIFIER.fullmatch(table):
            raise ValueError(f"not a table name: {table}")
        async with self.queue() as tx:
            found = await tx.fetch_value(f"SELECT locate_{table}(:row_id)", row_id=row_id)
        return None if found is None else str(found)

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(2), self.queue() as tx:
                return bool(await tx.fetch_value("SELECT true"))
        except (DependencyDown, TimeoutError):
            return False

    async def close(self) -> None:
        await self._app.close()
        await self._worker.close()

    @asynccontextmanager
    async def _open(self, pool: Pool, workspace: str | None, mode: str = "") -> AsyncIterator[Transaction]:
        try:
            async with pool.transaction(workspace, mode) as connection:
                tx = Transaction(connection, workspace=workspace, service=self.service)
                yield tx
        except DRIVER_ERRORS as error:
            if is_away(error):
                raise DependencyDown("Postgres is away") from error
            if is_contended(error):
                raise Contended from error
            raise
        if tx.emitted:
            self.outbox_written.set()
