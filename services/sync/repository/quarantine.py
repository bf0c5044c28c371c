"""Items that did not fit the provider's contract: kept as rows, so that a page goes on without them."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Transaction
from services.sync.domain.content import storable
from services.sync.domain.plan import Batch


async def note(tx: Transaction, batch: Batch) -> None:
    rows = [
        {
            "resource": batch.resource_id, "key": storable(key), "workspace": batch.workspace_id,
            "integration": batch.integration_id, "stream": batch.stream, "code": code, "detail": storable(detail),
        }
        for key, (code, detail) in batch.quarantined.items()
    ]  # fmt: skip
    await tx.execute_many(
        "INSERT INTO quarantined_item (resource_id, key, workspace_id, integration_id, stream, code, detail)"
        " VALUES (:resource, :key, :workspace, :integration, :stream, :code, :detail)"
        " ON CONFLICT (resource_id, key) DO UPDATE SET code = excluded.code, detail = excluded.detail,"
        " attempts = quarantined_item.attempts + 1, last_seen_at = now()",
        rows,
    )


async def keys(tx: Transaction, resource_id: str) -> set[str]:
    """Few, so that looking costs a page less than an unneeded delete."""
    sql = "SELECT key FROM quarantined_item WHERE resource_id = $1"
    return {row[0] for row in await (await tx.driver()).fetch(sql, resource_id)}


async def resolve(tx: Transaction, resource_id: str, keys: Sequence[str]) -> None:
    """An item that came through is no longer in quarantine."""
    if keys:
        await (await tx.driver()).execute(
            "DELETE FROM quarantined_item WHERE resource_id = $1 AND key = ANY($2::text[])", resource_id, list(keys)
        )
