"""The change feed of a workspace: by seq, which the one relay stamps without gaps and in the order of its commits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from libs.common.database.transaction import Transaction

# The floor of a row's seq is its order of commit as the relay saw it; a reader by raw id loses rows (RELIABILITY F01).
READ = """
SELECT seq, event_id, topic, key, payload, occurred_at FROM outbox
WHERE workspace_id = :workspace AND seq > :after_seq AND topic = ANY(CAST(:topics AS text[])) ORDER BY seq LIMIT :limit
"""


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """`payload` is the event's JSON as it was published."""

    seq: int
    event_id: str
    topic: str
    key: str
    payload: msgspec.Raw
    occurred_at: datetime


async def read_feed(
    tx: Transaction, workspace: str, after_seq: int, limit: int, topics: Collection[str]
) -> list[FeedItem]:
    """Rows after `after_seq`, oldest first; the last item's seq is the next cursor. Rows live as long as a topic's."""
    found = await tx.fetch_all(READ, workspace=workspace, after_seq=after_seq, limit=limit, topics=sorted(topics))
    return [FeedItem(**{**row, "payload": msgspec.Raw(row["payload"])}) for row in found]
