"""The change feed of a workspace: by seq, which the one relay stamps without gaps and in the order of its commits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from libs.common.errors import PassingFailure

# The floor of a row's seq is its order of commit as the relay saw it; a reader by raw id loses rows (RELIABILITY F01).
READ = """
SELECT seq, event_id, topic, key, payload, occurred_at FROM outbox
WHERE workspace_id = :workspace AND topic = :topic AND seq > :after ORDER BY seq LIMIT :limit
"""
HEAD = "SELECT last_seq FROM relay WHERE name = 'outbox'"
LOOK_EVERY = 0.25
MOST_FOLLOWERS = 1000


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """`payload` is the event's JSON as it was published."""

    seq: int
    event_id: str
    topic: str
    key: str
    payload: msgspec.Raw
    occurred_at: datetime


async def read_feed(tx: Transaction, workspace: str, topic: str, *, after: int, limit: int) -> list[FeedItem]:
    """Rows after `after`, oldest first; the last item's seq is the next cursor. Rows live as long as a topic's."""
    return [_item(row) for row in await tx.fetch_all(READ, workspace=workspace, topic=topic, after=after, limit=limit)]


async def head_of_feed(tx: Transaction) -> int:
    """The last seq that was given to any row. Whatever commits later gets a greater one."""
    return int(await tx.fetch_value(HEAD) or 0)


class TooManyFollowers(PassingFailure):
    code = "too_many_followers"
    title = "So many wait here that no more can; ask without waiting, or again later"


class Followers:
    """Who waits in this process, each on a connection of a client: so many at once and no more."""

    def __init__(self, most: int = MOST_FOLLOWERS) -> None:
        self.most = most
        self.count = 0

    def require_place(self) -> None:
        """Raises TooManyFollowers."""
        if self.count >= self.most:
            raise TooManyFollowers

    @contextmanager
    def one_more(self) -> Iterator[None]:
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class FeedHead:
    """Tells followers that something was told. Of all who wait in this process one looks at a time, on a connection
    that nobody holds between two looks."""

    def __init__(self, db: Database) -> None:
        self.followers = Followers()
        self._db = db
        self._last = 0
        self._looking = asyncio.Lock()

    async def beyond(self, seq: int, seconds: float) -> bool:
        """True as soon as the feed has gone beyond `seq`, False when it has not within so many seconds.

        Raises TooManyFollowers.
        """
        self.followers.require_place()
        with self.followers.one_more():
            return await self._follow(seq, seconds)

    async def _follow(self, seq: int, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._last <= seq:
                    async with self._looking:
                        await self._look(seq)
        return self._last > seq

    async def _look(self, seq: int) -> None:
        if self._last > seq:  # whoever looked before us has seen it
            return
        await asyncio.sleep(LOOK_EVERY)
        async with self._db.queue() as tx:
            self._last = await head_of_feed(tx)


def _item(row: Row) -> FeedItem:
    return FeedItem(**{**row, "payload": msgspec.Raw(row["payload"])})
