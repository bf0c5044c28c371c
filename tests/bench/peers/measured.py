"""What one run of one tool cost: time, memory, requests, and row versions written."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from tests.bench.peers.watched import Watched

WRITTEN = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE schemaname = $1
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Start = Callable[[], Watched]


@dataclass(frozen=True)
class Measured:
    """`written`: row versions inserted, updated and deleted, by table, as Postgres counted them."""

    seconds: float
    rss_mb: float
    requests: int
    not_modified: int
    written: Counter[str]
    rows: int


@dataclass(frozen=True)
class Meter:
    """`schema` is where the tool writes, `table` where its issues are."""

    api: str
    database: Connection
    schema: str
    table: str

    async def measure(self, start: Start, is_over: Callable[[], Awaitable[bool]] | None = None) -> Measured:
        before = await self._written()
        _counts(self.api)
        watched = start()
        await watched.ended(is_over)
        counted = _counts(self.api)
        written = await self._written()
        written.subtract(before)
        return Measured(
            seconds=watched.seconds, rss_mb=watched.rss_mb, requests=counted["requests"],
            not_modified=counted["not_modified"], written=+written,
            rows=await self.database.fetchval(f"SELECT count(*) FROM {self.schema}.{self.table}"),
        )  # fmt: skip

    async def _written(self) -> Counter[str]:
        """The processes that wrote have ended: what they did is counted."""
        rows = await self.database.fetch(WRITTEN, self.schema)
        return Counter({row[0]: row[1] for row in rows})


def _counts(api: str) -> Any:
    with urllib.request.urlopen(f"{api}/counts") as answer:
        return json.load(answer)
