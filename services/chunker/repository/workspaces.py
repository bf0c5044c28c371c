"""Workspaces that connected something, and the end of them."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from services.chunker.domain.mirroring import LEASE_S
from services.chunker.repository import mirror
from services.chunker.tables import EVERY_TABLE

# One of its own for each workspace: shared by whoever writes what nothing else keeps an erasure away from.
ERASURE = "hashtextextended('chunker erases ' || :workspace_id, 0)"
KEEP_OUT = f"SELECT pg_advisory_xact_lock_shared({ERASURE})"
BEGIN_ERASURE = f"SELECT pg_advisory_xact_lock({ERASURE})"
REMEMBER = """
INSERT INTO known_workspace (workspace_id)
SELECT :workspace_id WHERE NOT EXISTS (SELECT 1 FROM erased_workspace WHERE workspace_id = :workspace_id)
ON CONFLICT DO NOTHING
"""
KNOWS = "SELECT true FROM known_workspace WHERE workspace_id = :workspace_id"
MARK_ERASED = "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace_id) ON CONFLICT DO NOTHING"
ERASABLE = (*EVERY_TABLE, "job", "data_key", "dead_letter")


async def remember(tx: Transaction, workspace: str) -> None:
    """Unless it is erased; it is not before the transaction ends, so that what is written here goes with it."""
    await tx.execute(KEEP_OUT, workspace_id=workspace)
    await tx.execute(REMEMBER, workspace_id=workspace)


async def knows(tx: Transaction, workspace: str) -> bool:
    return bool(await tx.fetch_value(KNOWS, workspace_id=workspace))


async def keeps_out(tx: Transaction, workspace: str) -> bool:
    """Whether it is there, and stays until the transaction ends."""
    await tx.execute(KEEP_OUT, workspace_id=workspace)
    return await knows(tx, workspace)


async def erase(tx: Transaction, workspace: str) -> None:
    """Every row of it but the tombstone; unpublished facts of the outbox still go out first."""
    await tx.execute(BEGIN_ERASURE, workspace_id=workspace)
    await tx.execute(MARK_ERASED, workspace_id=workspace)
    for table in ERASABLE:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
    await mirror.want_erased(tx, workspace, LEASE_S)
    sql = "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL"
    await tx.execute(sql, workspace=workspace)
