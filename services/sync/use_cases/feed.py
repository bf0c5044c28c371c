"""Following a workspace: its log from a cursor, or its state first and then its log, without a gap between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.catalog import BY_NAME
from libs.common.http.wire import CursorExpired
from libs.common.outbox.feed import head_of_feed
from services.sync.deps import Deps
from services.sync.domain.feed import Cut, Fact, Filter, Position, Scan, cut
from services.sync.repository import feed
from services.sync.use_cases.asking import require_workspace

CHUNK = 1000
MOST_SCANNED = 5000
DAYS = BY_NAME[feed.TOPIC].retention_hours // 24
EXPIRED = (
    f"changes are kept for {DAYS} days and some after this cursor are gone: read the state anew with ?compact=latest,"
    " which ends with a cursor to go on from, or begin with what is kept by ?cursor=oldest"
)
AHEAD = "this cursor is ahead of everything told: the database was restored; read the state anew with ?compact=latest"

ReadFacts = Callable[[Any, int], Awaitable[Sequence[Fact]]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`position` None begins: with the oldest change there ever was, or with a snapshot when `compact`."""

    wanted: Filter
    limit: int
    wait: float = 0.0
    compact: bool = False
    position: Position | None = None
    begin: str = ""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """`more` False: the reader is as far as the feed is; it comes back later with the same position."""

    facts: Sequence[Fact]
    position: Position
    more: bool
    snapshot: bool = False


async def read_changes(asked: Asked, *, deps: Deps, workspace: str) -> Changes:
    """Waits for the first wanted change as long as asked. Nothing of the database is held meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + asked.wait
    while True:
        async with deps.db.transaction(workspace) as tx:
            await require_workspace(tx)
            head = await head_of_feed(tx)  # before the rows: whatever is told later lies beyond it
            found = await _read(tx, asked, head)
        if found.facts or found.more or found.snapshot or loop.time() >= until:
            return found
        asked = msgspec.structs.replace(asked, position=found.position)
        await deps.feed_head.beyond(head, until - loop.time())


async def _read(tx: Transaction, asked: Asked, head: int) -> Changes:
    at = asked.position or await _beginning(tx, asked, head)
    if at.seq > head:
        raise CursorExpired(AHEAD)
    return await (_read_log if at.source is None else _read_snapshot)(tx, asked, at)


async def _beginning(tx: Transaction, asked: Asked, head: int) -> Position:
    workspace = str(tx.workspace)
    if asked.begin == "latest":
        return Position(workspace, head)
    if asked.begin == "oldest":
        kept_from = await feed.floor(tx)
        return Position(workspace, kept_from.seq if kept_from else 0)
    return Position(workspace, head, "") if asked.compact else Position(workspace, 0)


async def _read_log(tx: Transaction, asked: Asked, at: Position) -> Changes:
    async def read(after: int, limit: int) -> Sequence[Fact]:
        return await feed.log(tx, after=after, limit=limit)

    page = await _page(read, at.seq, asked)
    lost = await feed.floor(tx)
    since = asked.wanted.since
    if lost is not None and at.seq < lost.seq and (since is None or since <= lost.occurred_at):
        raise CursorExpired(EXPIRED)
    seq = at.seq if page.place is None else int(page.place)
    return Changes(facts=page.facts, position=Position(at.workspace, seq), more=page.more)


async def _read_snapshot(tx: Transaction, asked: Asked, at: Position) -> Changes:
    """The seq was fixed before the first page: what changes while the pages are read is told after them, once more."""

    async def read(after: str, limit: int) -> Sequence[Fact]:
        return await feed.snapshot(tx, after=after, limit=limit)

    page = await _page(read, at.source or "", asked)
    source = str(page.place) if page.more else None
    return Changes(facts=page.facts, position=Position(at.workspace, at.seq, source), more=page.more, snapshot=True)


async def _page(read: ReadFacts, after: int | str, asked: Asked) -> Cut:
    scan = await _scan(read, after, asked.wanted, asked.limit, whole=asked.compact)
    return cut(scan, asked.wanted, asked.limit, compact=asked.compact)


async def _scan(read: ReadFacts, after: int | str, wanted: Filter, limit: int, *, whole: bool) -> Scan:
    """Bounded, so that a page which filters everything out ends soon and moves on all the same."""
    step = CHUNK if wanted.narrows or whole else limit + 1
    facts: list[Fact] = []
    taken = 0
    while True:
        found = await read(after, step)
        facts += found
        taken += sum(map(wanted.takes, found))
        if len(found) < step:
            return Scan(facts, False)
        if taken > limit or len(facts) >= MOST_SCANNED:
            return Scan(facts, True)
        after = found[-1].place
