"""Workspaces that connected something, and the end of them."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from services.chunker.domain.mirroring import LEASE_S
from services.chunker.repository import mirror
from services.chunker.tables import QUEUE_TABLES, TENANT_TABLES

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
# What anyone works for, and what tells that the workspace is there, goes whole and first; the rest may be millions.
AT_ONCE = (*QUEUE_TABLES, "known_workspace", "job", "data_key", "dead_letter")
IN_STEPS = tuple(table for table in TENANT_TABLES if table not in AT_ONCE)
STEP = 10_000


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


async def erase(tx: Transaction, workspace: str) -> bool:
    """All but the tombstone, or of large tables a step: True while rows are left. Unpublished facts of the outbox still
    go out first. What is being erased already is left to whoever does it.
    """
    await tx.execute(BEGIN_ERASURE, workspace_id=workspace)
    if not await tx.execute(MARK_ERASED, workspace_id=workspace):
        return False
    for table in AT_ONCE:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
    left = await erase_some(tx, workspace)
    await mirror.want_erased(tx, workspace, LEASE_S)
    sql = "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL"
    await tx.execute(sql, workspace=workspace)
    return left


async def erase_some(tx: Transaction, workspace: str) -> bool:
    """A step of each table; True while there may be more."""
    left = False
    for table in IN_STEPS:
        some = f"SELECT ctid FROM {table} WHERE workspace_id = :workspace LIMIT :most"
        sql = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({some}))"
        left |= await tx.execute(sql, workspace=workspace, most=STEP) == STEP
    return left
