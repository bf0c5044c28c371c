"""What was told of one thing, and what became of the telling: for whoever asks why somebody else does not know it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from libs.common.database.transaction import Row, Transaction

# Two parts for two indexes: a schema that is asked this has one on the key of its published rows. Few wait: an index on
# the key of those costs each insert a fifth more (measured), so while the broker is away they are walked.
OF_KEY = """
SELECT * FROM (
  SELECT seq, event_id, topic, payload, occurred_at, published_at, kafka_partition, kafka_offset
  FROM outbox WHERE key = :key AND published_at IS NOT NULL
  UNION ALL
  SELECT seq, event_id, topic, payload, occurred_at, published_at, kafka_partition, kafka_offset
  FROM outbox WHERE key = :key AND published_at IS NULL
) told ORDER BY occurred_at DESC LIMIT :limit
"""
OF_TOPIC = """
SELECT seq, event_id, topic, payload, occurred_at, published_at, kafka_partition, kafka_offset
FROM outbox WHERE workspace_id = :workspace AND topic = :topic AND key = :key AND seq IS NOT NULL
ORDER BY seq DESC LIMIT :limit
"""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`published_at` None: it waits for the relay, or for the broker to come back."""

    seq: int | None
    event_id: str
    topic: str
    payload: msgspec.Raw
    occurred_at: datetime
    published_at: datetime | None
    kafka_partition: int | None
    kafka_offset: int | None


async def told_of(tx: Transaction, key: str, *, limit: int) -> list[Told]:
    """Newest first, as far back as the topics' retention."""
    return [_told(row) for row in await tx.fetch_all(OF_KEY, key=key, limit=limit)]


async def told_on(tx: Transaction, topic: str, key: str, *, limit: int) -> list[Told]:
    """The newest of one topic, through the index of the workspace's feed."""
    found = await tx.fetch_all(OF_TOPIC, workspace=tx.workspace, topic=topic, key=key, limit=limit)
    return [_told(row) for row in found]


def _told(row: Row) -> Told:
    return Told(**{**row, "payload": msgspec.Raw(row["payload"])})
