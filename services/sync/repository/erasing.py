"""Erasing a workspace: every row of it in every table of this schema, in steps that each end soon."""

from __future__ import annotations

from libs.common.database.transaction import Transaction

# In the order in which everybody locks them: who holds an integration may still ask for its work.
HOT = (
    "known_integration", "work", "dirty_object", "discovery", "poll_schedule", "resource_watch", "observed_state",
    "known_workspace",
)  # fmt: skip
COLD = (
    "listing_seen", "validator", "quarantined_item", "captured_page", "buried_source", "held_source",
    "held_deletion", "sweep", "changed_file", "push", "source_part", "source",
    "resource_stream",
    "resource", "run_resource", "run", "heard_delivery", "dead_letter", "job", "data_key", "feed_floor",
)  # fmt: skip
STEP = 2000


async def erase_hot(tx: Transaction) -> None:
    """What makes anyone work on it; owners in the middle of a page lose their lease by this."""
    for table in HOT:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=tx.workspace)
    sql = "DELETE FROM cleanup WHERE workspace_id = :workspace AND kind = 'expired'"
    await tx.execute(sql, workspace=tx.workspace)


async def erase_some(tx: Transaction) -> bool:
    """One step; False when nothing is left. Outbox rows go when they are published: the tombstone of the workspace
    is what the others heard already."""
    for table in COLD:
        if await _delete_some(tx, table, ""):
            return True
    return bool(await _delete_some(tx, "outbox", " AND published_at IS NOT NULL"))


async def _delete_some(tx: Transaction, table: str, also: str) -> int:
    return await tx.execute(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"
        f" WHERE workspace_id = :workspace{also} LIMIT {STEP}))",
        workspace=tx.workspace,
    )


async def unpublished(tx: Transaction) -> bool:
    sql = "SELECT EXISTS (SELECT FROM outbox WHERE workspace_id = :workspace AND published_at IS NULL)"
    return bool(await tx.fetch_value(sql, workspace=tx.workspace))


async def remove_integration(tx: Transaction, integration_id: str) -> None:
    """Its sources are tombstones by now: they stay, without any word of the user's."""
    tables = (
        "resource_stream", "listing_seen", "validator", "quarantined_item", "captured_page", "buried_source",
        "held_source", "held_deletion", "sweep", "source_part", "changed_file", "push",
    )  # fmt: skip
    for table in tables:
        await tx.execute(
            f"DELETE FROM {table} t USING resource r WHERE r.id = t.resource_id AND r.integration_id = :id",
            id=integration_id,
        )
    await tx.execute("DELETE FROM resource WHERE integration_id = :id", id=integration_id)
    await tx.execute("DELETE FROM observed_state WHERE integration_id = :id", id=integration_id)
    await tx.execute(
        "UPDATE source SET name = '', path = NULL, url = '', metadata = '{}', author = '', seen_hash = '',"
        " external_key = 'gone:' || id WHERE integration_id = :id",
        id=integration_id,
    )
