"""Every statement of the relay: what is next, what was acknowledged, what a log has forgotten, what is old."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from libs.common.outbox.lease import Lease

WAITING = "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
# Ids come out of order from concurrent writers, and none is lost by it: what is not published is next, whatever its id.
# Rows of one aggregate are in order, because its writer holds the aggregate's row lock from before the insert.
NEXT = """
SELECT id, event_id, workspace_id, topic, key, payload, occurred_at, traceparent, seq
FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT :batch
"""
STAMP = """
UPDATE outbox SET seq = stamped.seq
FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[])) AS stamped (id, seq) WHERE outbox.id = stamped.id
"""
MARK = """
UPDATE outbox SET published_at = clock_timestamp(), cluster_id = acked.cluster_id,
  kafka_partition = acked.kafka_partition, kafka_offset = acked.kafka_offset
FROM unnest(CAST(:ids AS bigint[]), CAST(:clusters AS text[]), CAST(:partitions AS integer[]),
            CAST(:offsets AS bigint[])) AS acked (id, cluster_id, kafka_partition, kafka_offset)
WHERE outbox.id = acked.id
"""
KNOWN = "SELECT topic, kafka_partition, log_id, last_offset FROM relay_log"
REMEMBER = """
INSERT INTO relay_log (topic, kafka_partition, log_id, last_offset)
SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:log_ids AS text[]),
                     CAST(:offsets AS bigint[]))
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
# One row at a time leaves dead rows behind for vacuum; should a service ever publish so much that this shows, its next
# migration makes the table PARTITION BY RANGE (occurred_at), a partition a day, and this becomes DROP of the oldest.
DROP_OLD = """
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox WHERE topic = :topic AND published_at < clock_timestamp() - make_interval(hours => :hours)
  LIMIT :size)
"""
OLDEST = "SELECT extract(epoch FROM clock_timestamp() - min(occurred_at)) FROM outbox WHERE published_at IS NULL"
SLICE = 5000

Place = tuple[str, int]


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    event_id: str
    workspace_id: str
    topic: str
    key: str
    payload: bytes
    occurred_at: datetime
    traceparent: str | None


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
    """The next rows, each with its seq: gap-free, because the counter moves in the transaction that stamps."""
    async with db.queue() as tx:
        last_seq = await lease.hold(tx)
        found = await tx.fetch_all(NEXT, batch=batch)
        fresh = [row["id"] for row in found if row["seq"] is None]
        if fresh:
            seqs = list(range(last_seq + 1, last_seq + 1 + len(fresh)))
            await tx.execute(STAMP, ids=fresh, seqs=seqs)
            await lease.move(tx, seqs[-1])
    return [_row(row) for row in found]


async def known_logs(db: Database) -> dict[Place, Known]:
    async with db.queue() as tx:
        rows = await tx.fetch_all(KNOWN)
    return {(row["topic"], row["kafka_partition"]): Known(row["log_id"], row["last_offset"]) for row in rows}


async def mark(
    db: Database, lease: Lease, acks: Sequence[Ack], clusters: Mapping[str, str], ends: Mapping[Place, Known]
) -> None:
    """`clusters` by topic; `ends` is what each touched partition is known by from now on."""
    async with db.queue() as tx:
        await lease.hold(tx)
        await tx.execute(
            MARK,
            ids=[ack.row.id for ack in acks],
            clusters=[clusters[ack.row.topic] for ack in acks],
            partitions=[ack.partition for ack in acks],
            offsets=[ack.offset for ack in acks],
        )
        await tx.execute(
            REMEMBER,
            topics=[topic for topic, _ in ends],
            partitions=[partition for _, partition in ends],
            log_ids=[known.log_id for known in ends.values()],
            offsets=[known.last_offset for known in ends.values()],
        )


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


def _row(row: Row) -> OutboxRow:
    return OutboxRow(**{name: row[name] for name in OutboxRow.__struct_fields__})
