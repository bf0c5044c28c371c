"""Workspaces that connected something, and the end of them."""

from __future__ import annotations

from libs.common.database import erasure
from libs.common.database.transaction import Transaction
from services.chunker.domain.mirroring import LEASE_S
from services.chunker.repository import mirror
from services.chunker.tables import QUEUE_TABLES, TENANT_TABLES

REMEMBER = """
INSERT INTO known_workspace (workspace_id)
SELECT :workspace_id WHERE NOT EXISTS (SELECT 1 FROM erased_workspace WHERE workspace_id = :workspace_id)
ON CONFLICT DO NOTHING
"""
KNOWS = "SELECT true FROM known_workspace WHERE workspace_id = :workspace_id"
# What anyone works for, and what tells that the workspace is there, goes whole and first; the rest may be millions.
AT_ONCE = (*QUEUE_TABLES, "known_workspace", "job", "data_key", "dead_letter")
IN_STEPS = tuple(table for table in TENANT_TABLES if table not in AT_ONCE)
STEP = 10_000


async def remember(tx: Transaction, workspace: str) -> None:
    """Unless it is erased; it is not before the transaction ends, so that what is written here goes with it."""
    await erasure.hold_off(tx)
    await tx.execute(REMEMBER, workspace_id=workspace)


async def knows(tx: Transaction, workspace: str) -> bool:
    return bool(await tx.fetch_value(KNOWS, workspace_id=workspace))


async def erase(tx: Transaction, workspace: str) -> bool:
    """All but the tombstone, or of large tables a step: True while rows are left. Unpublished facts of the outbox still
    go out first. What is being erased already is left to whoever does it.
    """
    if not await erasure.begin(tx):
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
