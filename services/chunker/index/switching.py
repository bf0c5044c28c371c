"""Which index answers: Postgres until the mirror is whole, then the engine, from one search to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from services.chunker.index.postgres import PostgresReading
from services.chunker.index.protocol import Reading
from services.chunker.repository import mirror

MOST_FRESH = 1000  # sources of a workspace that the engine has yet to be told of: beyond it Postgres answers alone

Mirrored = Callable[[Transaction, str, Sequence[str]], Reading]


@dataclass(frozen=True)
class SwitchingIndex:
    """`mirrored` makes the reading in a mirror, of a workspace whose fresh sources are named.

    An engine that is away is told as such: its searches are more than the Postgres that was outgrown can answer.
    """

    db: Database
    mirrored: Mirrored

    @asynccontextmanager
    async def reading(self, workspace: str) -> AsyncIterator[Reading]:
        async with self.db.snapshot(workspace) as tx:
            living = await mirror.living(tx)
            if living is None or living.state != "whole":
                yield PostgresReading(tx)
                return
            fresh = await mirror.fresh(tx, MOST_FRESH + 1)
            yield PostgresReading(tx) if len(fresh) > MOST_FRESH else self.mirrored(tx, living.id, fresh)
