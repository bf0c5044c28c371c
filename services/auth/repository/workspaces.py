"""Rows of workspaces: made, held against deletion, and erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Transaction


async def add_workspace(tx: Transaction) -> bool:
    """False when it was there."""
    added = await tx.execute(
        "INSERT INTO workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING", workspace=tx.workspace
    )
    return added == 1


async def is_erased(tx: Transaction) -> bool:
    """Also while it is being torn down: there is no way back from there."""
    return bool(
        await tx.fetch_value(
            "SELECT EXISTS (SELECT FROM erased_workspace WHERE workspace_id = :workspace)"
            " OR EXISTS (SELECT FROM workspace WHERE workspace_id = :workspace AND deleting_at IS NOT NULL)",
            workspace=tx.workspace,
        )
    )


async def workspace_created_at(tx: Transaction) -> datetime | None:
    found: datetime | None = await tx.fetch_value(
        "SELECT created_at FROM workspace WHERE workspace_id = :workspace AND deleting_at IS NULL",
        workspace=tx.workspace,
    )
    return found


async def hold_workspace(tx: Transaction) -> bool:
    """Keeps a deletion of the workspace out until this transaction ends; False when there is nothing to keep."""
    return bool(
        await tx.fetch_value(
            "SELECT true FROM workspace WHERE workspace_id = :workspace AND deleting_at IS NULL FOR SHARE",
            workspace=tx.workspace,
        )
    )


async def begin_deleting(tx: Transaction) -> bool:
    """Only the first of many deleters gets True; it waits for everyone who holds the workspace."""
    return (
        await tx.execute(
            "UPDATE workspace SET deleting_at = now() WHERE workspace_id = :workspace AND deleting_at IS NULL",
            workspace=tx.workspace,
        )
        == 1
    )


async def is_deleting(tx: Transaction) -> bool:
    """Takes no lock: its caller holds an integration, and the erasure locks the workspace first."""
    return bool(
        await tx.fetch_value(
            "SELECT true FROM workspace WHERE workspace_id = :workspace AND deleting_at IS NOT NULL",
            workspace=tx.workspace,
        )
    )


async def lock_deleting(tx: Transaction) -> bool:
    return bool(
        await tx.fetch_value(
            "SELECT true FROM workspace WHERE workspace_id = :workspace AND deleting_at IS NOT NULL FOR UPDATE",
            workspace=tx.workspace,
        )
    )


async def erase_workspace_rows(tx: Transaction, *, keep_topics: Sequence[str]) -> int:
    """Everything of the workspace but its audit rows and the facts about its end; answers the tombstone's version."""
    for table in ("idempotency", "oauth_attempt", "integration", "workspace", "job", "dead_letter", "data_key"):
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=tx.workspace)
    await tx.execute(
        "DELETE FROM outbox WHERE workspace_id = :workspace AND NOT topic = ANY(CAST(:kept AS text[]))",
        workspace=tx.workspace,
        kept=list(keep_topics),
    )
    await tx.execute(
        "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING", workspace=tx.workspace
    )
    return int(await tx.fetch_value("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"))
