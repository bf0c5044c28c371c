"""The change feed as rows: the log that the relay stamped, what has left it, and the sources themselves."""

from __future__ import annotations

from datetime import datetime

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.outbox.feed import FeedItem, read_feed
from services.sync.domain.feed import About, Fact

TOPIC = "source.changed"
_about = msgspec.json.Decoder(About)


class Floor(msgspec.Struct, frozen=True):
    """Up to this seq and this time the workspace's rows have been dropped, at least some of them."""

    seq: int
    occurred_at: datetime


async def log(tx: Transaction, *, after: int, limit: int) -> list[Fact]:
    found = await read_feed(tx, str(tx.workspace), TOPIC, after=after, limit=limit)
    return [_told(item) for item in found]


async def floor(tx: Transaction) -> Floor | None:
    """To be read after the rows: what was dropped before they were read is told by now."""
    row = await tx.fetch_one(
        "SELECT seq, occurred_at FROM feed_floor WHERE workspace_id = :workspace AND topic = :topic",
        workspace=tx.workspace,
        topic=TOPIC,
    )
    return Floor(row["seq"], row["occurred_at"]) if row else None


SNAPSHOT = """
SELECT id, workspace_id, integration_id, resource_id, provider, type, version, content_hash, url, tombstone, updated_at
FROM source WHERE workspace_id = :workspace AND id > :after ORDER BY id LIMIT :limit
"""


async def snapshot(tx: Transaction, *, after: str, limit: int) -> list[Fact]:
    """Every source once, as it is now, tombstones among them."""
    return [_stands(row) for row in await tx.fetch_all(SNAPSHOT, workspace=tx.workspace, after=after, limit=limit)]


def _told(item: FeedItem) -> Fact:
    return Fact(
        place=item.seq, seq=item.seq, event_id=item.event_id, topic=item.topic, occurred_at=item.occurred_at,
        event=item.payload, about=_about.decode(item.payload),
    )  # fmt: skip


def _stands(row: Row) -> Fact:
    """In the shape of the event, as far as a row knows it."""
    about = About(
        source_id=row["id"], integration_id=row["integration_id"], resource_id=row["resource_id"],
        provider=row["provider"], type=row["type"], change="deleted" if row["tombstone"] else "updated",
    )  # fmt: skip
    event = {name: getattr(about, name) for name in about.__struct_fields__ if name != "cause"} | {
        "workspace_id": row["workspace_id"], "version": row["version"], "content_hash": row["content_hash"],
        "url": row["url"], "occurred_at": row["updated_at"],
    }  # fmt: skip
    return Fact(
        place=row["id"], seq=None, event_id=None, topic=TOPIC, occurred_at=row["updated_at"],
        event=msgspec.Raw(msgspec.json.encode(event)), about=about,
    )  # fmt: skip
