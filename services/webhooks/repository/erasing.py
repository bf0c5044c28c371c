"""The end of a workspace in this schema."""

from __future__ import annotations

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
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('erase:' || :workspace, 0))", workspace=workspace)
    if not await tx.execute(
        "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING", workspace=workspace
    ):
        return
    for table in ERASED_TABLES:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
    # A row that is not published yet names ids only, and its reader must not miss it.
    await tx.execute(
        "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL", workspace=workspace
    )
