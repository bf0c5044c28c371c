"""Every statement of the relay: what is next, what was acknowledged, what a log has forgotten, what is old."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.outbox.lease import Lease

# The order makes it the index's question: EXISTS looks through the table when statistics were taken of a full backlog.
WAITING = "SELECT (SELECT id FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1) IS NOT NULL"
# Ids come out of order from concurrent writers, and none is lost by it: what is not published is next, whatever its id.
# Rows of one aggregate are in order, because its writer holds the aggregate's row lock from before the insert.
NEXT = """
SELECT id, event_id, topic, key, payload, occurred_at, traceparent, seq FROM (
  SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) AS bytes
  FROM (SELECT * FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1) AS waiting) AS measured
WHERE bytes - octet_length(payload) < $2 ORDER BY id
"""
# The bounds keep a planner from reading the whole table for a batch.
MARK = """
UPDATE outbox SET seq = acked.seq, published_at = clock_timestamp(), cluster_id = $1,
  kafka_partition = acked.kafka_partition, kafka_offset = acked.kafka_offset
FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bigint[]) AS acked (id, seq, kafka_partition, kafka_offset)
WHERE outbox.id = acked.id AND outbox.id BETWEEN $6 AND $7
"""
KNOWN = "SELECT topic, kafka_partition, log_id, last_offset FROM relay_log"
REMEMBER = """
INSERT INTO relay_log (topic, kafka_partition, log_id, last_offset)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[])
ON CONFLICT (topic, kafka_partition) DO UPDATE SET log_id = excluded.log_id, last_offset = excluded.last_offset
"""
# In slices, because a week of rows is too much for one statement; `relay_log` forgets only after the last one.
FORGET = """
WITH slice AS (
  SELECT id FROM outbox WHERE id > :after AND published_at IS NOT NULL AND topic = ANY(CAST(:topics AS text[]))
  ORDER BY id LIMIT :size
), reset AS (
  UPDATE outbox SET published_at = NULL, cluster_id = NULL, kafka_partition = NULL, kafka_offset = NULL
  FROM slice WHERE outbox.id = slice.id
)
SELECT count(*) AS rows, max(id) AS last FROM slice
"""
FORGET_LOG = "DELETE FROM relay_log WHERE topic = ANY(CAST(:topics AS text[]))"
# `now()` is a bound that the index can use; a clock that moves within the statement is none, and reads the whole table.
# One row at a time leaves dead rows behind for vacuum; should a service ever publish so much that this shows, its next
# migration makes the table PARTITION BY RANGE (occurred_at), a partition a day, and this becomes DROP of the oldest.
OLD = "SELECT id FROM outbox WHERE topic = :topic AND published_at < now() - make_interval(hours => :hours) LIMIT :size"
DROP_OLD = f"DELETE FROM outbox WHERE id IN ({OLD})"  # noqa: S608 - two constants
OLDEST = """
SELECT extract(epoch FROM clock_timestamp() - occurred_at) FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1
"""
SLICE = 5000
MOST_BYTES = 8 * 1024 * 1024

Place = tuple[str, int]


class OutboxRow(msgspec.Struct, frozen=True):
    """`seq` is None until it was first acknowledged."""

    id: int
    event_id: str
    topic: str
    key: str
    payload: bytes
    occurred_at: datetime
    traceparent: str | None
    seq: int | None


class Known(msgspec.Struct, frozen=True):
    """The greatest offset that was ever acknowledged in this partition of this log."""

    log_id: str
    last_offset: int


class Ack(msgspec.Struct, frozen=True):
    row: OutboxRow
    partition: int
    offset: int


async def any_waiting(db: Database) -> bool:
    async with db.queue() as tx:
        return bool(await tx.fetch_value(WAITING))


async def pick(db: Database, lease: Lease, batch: int) -> list[OutboxRow]:
    """The next rows, at most `batch` of them, and fewer when they are large."""
    async with db.queue() as tx:
        await lease.hold(tx)
        return await _next(tx, batch)


async def _next(tx: Transaction, batch: int) -> list[OutboxRow]:
    return [OutboxRow(*row) for row in await (await tx.driver()).fetch(NEXT, batch, MOST_BYTES)]


async def known_logs(db: Database) -> dict[Place, Known]:
    async with db.queue() as tx:
        rows = await tx.fetch_all(KNOWN)
    return {(row["topic"], row["kafka_partition"]): Known(row["log_id"], row["last_offset"]) for row in rows}


async def mark_and_pick(
    db: Database,
    lease: Lease,
    acks: Sequence[Ack],
    ends: Mapping[Place, Known],
    cluster: str,
    *,
    confirmed: Awaitable[None],
    batch: int,
) -> list[OutboxRow]:
    """What was acknowledged gets its seq, gap-free because the counter moves in the same transaction; a row that is
    published again keeps its own. `ends` is what each touched partition is known by from now on. Nothing of it is
    committed if `confirmed` raises. Answers the next rows, at most `batch`.
    """
    async with db.queue() as tx:
        fresh = sum(ack.row.seq is None for ack in acks)
        seqs = itertools.count(await lease.advance(tx, fresh) - fresh + 1)
        driver = await tx.driver()
        ids = [ack.row.id for ack in acks]
        await driver.execute(
            MARK,
            cluster,
            ids,
            [next(seqs) if ack.row.seq is None else ack.row.seq for ack in acks],
            [ack.partition for ack in acks],
            [ack.offset for ack in acks],
            min(ids),
            max(ids),
        )
        await driver.execute(
            REMEMBER,
            [topic for topic, _ in ends],
            [partition for _, partition in ends],
            [known.log_id for known in ends.values()],
            [known.last_offset for known in ends.values()],
        )
        following = await _next(tx, batch) if batch else []
        await confirmed
        return following


async def forget(db: Database, lease: Lease, topics: Collection[str]) -> int:
    """Makes every retained row of the topics unpublished again; answers how many. A kill between slices is repeated."""
    after, total = 0, 0
    while True:
        async with db.queue() as tx:
            await lease.hold(tx)
            found = await tx.fetch_one(FORGET, after=after, topics=sorted(topics), size=SLICE)
            if found is None or found["last"] is None:
                await tx.execute(FORGET_LOG, topics=sorted(topics))
                return total
            after, total = found["last"], total + found["rows"]


async def drop_old(db: Database, topic: str, hours: int) -> int:
    total = 0
    while True:
        async with db.queue() as tx:
            dropped = await tx.execute(DROP_OLD, topic=topic, hours=hours, size=SLICE)
        total += dropped
        if dropped < SLICE:
            return total


async def oldest_waiting(tx: Transaction) -> float:
    """Seconds since the oldest unpublished row was written; 0.0 when none waits."""
    return float(await tx.fetch_value(OLDEST) or 0.0)
