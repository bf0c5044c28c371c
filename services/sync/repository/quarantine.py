"""Items that did not fit the provider's contract: kept as rows, so that a page goes on without them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Row, Transaction
from services.sync.domain.content import storable
from services.sync.domain.plan import Batch

# 2, 4, 8 minutes … a day: an item that does not fit today may fit once its provider or Sluice has changed.
BACKOFF = "least(interval '1 minute' * power(2, least(quarantined_item.attempts, 12)), interval '1 day')"


async def note(tx: Transaction, batch: Batch) -> None:
    rows = [
        {
            "resource": batch.resource_id, "key": storable(key), "workspace": batch.workspace_id,
            "integration": batch.integration_id, "stream": batch.streams.get(key, batch.stream), "code": code,
            "detail": storable(detail), "by_key": key not in batch.unnamed,
        }
        for key, (code, detail) in batch.quarantined.items()
    ]  # fmt: skip
    await tx.execute_many(
        "INSERT INTO quarantined_item (resource_id, key, workspace_id, integration_id, stream, code, detail,"
        " by_key) VALUES (:resource, :key, :workspace, :integration, :stream, :code, :detail, :by_key)"
        " ON CONFLICT (resource_id, key) DO UPDATE SET code = excluded.code, detail = excluded.detail,"
        " attempts = quarantined_item.attempts + 1, last_seen_at = now(), by_key = excluded.by_key,"
        f" retry_at = now() + {BACKOFF}",
        rows,
    )


async def resolve(tx: Transaction, resource_id: str, keys: Sequence[str]) -> None:
    """An item that came through is no longer in quarantine."""
    if keys:
        await (await tx.driver()).execute(
            "DELETE FROM quarantined_item WHERE resource_id = $1 AND key = ANY($2::text[])", resource_id, list(keys)
        )


async def resolve_listed(tx: Transaction, resource_id: str, stream: str, *, since: datetime) -> None:
    """A whole listing without a failing item came after them."""
    await tx.execute(
        "DELETE FROM quarantined_item WHERE resource_id = :id AND stream = :stream AND last_seen_at < :since",
        id=resource_id,
        stream=stream,
        since=since,
    )


async def take_due(tx: Transaction, resource_id: str) -> list[tuple[str, str]]:
    """(stream, key) of those whose next try is due; it is moved on, so that no two looks ask for it."""
    rows = await tx.fetch_all(
        f"UPDATE quarantined_item SET retry_at = now() + {BACKOFF}"
        " WHERE resource_id = :id AND by_key AND retry_at <= now() RETURNING stream, key",
        id=resource_id,
    )
    return [(row["stream"], row["key"]) for row in rows]


async def page(tx: Transaction, integration_id: str, *, after: tuple[str, str], limit: int) -> Sequence[Row]:
    return await tx.fetch_all(
        "SELECT q.*, r.name AS resource_name FROM quarantined_item q LEFT JOIN resource r ON r.id = q.resource_id"
        " WHERE q.integration_id = :id AND (q.resource_id, q.key) > (:resource, :key)"
        " ORDER BY q.resource_id, q.key LIMIT :limit",
        id=integration_id,
        resource=after[0],
        key=after[1],
        limit=limit,
    )


async def named(tx: Transaction, resource_id: str, keys: Sequence[str] | None) -> Sequence[Row]:
    """(key, stream, by_key) of these, or of all."""
    return await tx.fetch_all(
        "SELECT key, stream, by_key FROM quarantined_item WHERE resource_id = :id"
        " AND (CAST(:keys AS text[]) IS NULL OR key = ANY(CAST(:keys AS text[]))) ORDER BY key",
        id=resource_id,
        keys=None if keys is None else list(keys),
    )
