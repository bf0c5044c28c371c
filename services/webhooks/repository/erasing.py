"""The end of a workspace in this schema."""

from __future__ import annotations

from libs.common.database import erasure
from libs.common.database.transaction import Transaction

# Children first; deleting an endpoint waits for the deliveries that are being stored at it.
ERASED_TABLES = (
    "missed_delivery",
    "subscription",
    "delivery",
    "endpoint",
    "resource",
    "integration",
    "known_workspace",
    "dead_letter",
    "job",
    "data_key",
)


async def erase(tx: Transaction, workspace: str) -> None:
    """Every row of the workspace in this schema; what stays is the tombstone of its id."""
    if not await erasure.begin(tx):
        return
    for table in ERASED_TABLES:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
    # A row that is not published yet names ids only, and its reader must not miss it.
    await tx.execute(
        "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL", workspace=workspace
    )
