"""What has to be cleared away: sources of a resource, of a type, of an integration, or all rows of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from libs.common.database.transaction import Transaction
from services.sync.repository.leases import NEW_LEASE, NO_LEASE


class CleanupClaim(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    workspace_id: str
    kind: str
    integration_id: str
    resource_id: str
    types: tuple[str, ...] | None
    epoch: int


CLAIM_CLEANUP = f"""
WITH due AS MATERIALIZED (
  SELECT id FROM cleanup WHERE run_at <= now() AND lease_until <= now()
  ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE cleanup c SET {NEW_LEASE} FROM due WHERE c.id = due.id
RETURNING c.id, c.workspace_id, c.kind, c.integration_id, c.resource_id, c.types, c.epoch
"""


async def claim(tx: Transaction, *, owner: str, lease: timedelta) -> CleanupClaim | None:
    row = await tx.fetch_one(CLAIM_CLEANUP, owner=owner, lease=lease)
    return msgspec.convert(dict(row), CleanupClaim) if row else None


async def want(
    tx: Transaction,
    *,
    cleanup_id: str,
    kind: str,
    integration_id: str = "",
    resource_id: str = "",
    types: Sequence[str] | None = None,
    after: timedelta = timedelta(),
) -> None:
    await tx.execute(
        "INSERT INTO cleanup (id, workspace_id, kind, integration_id, resource_id, types, run_at)"
        " VALUES (:id, :workspace, :kind, :integration, :resource, :types, now() + CAST(:after AS interval))"
        " ON CONFLICT (id) DO NOTHING",
        id=cleanup_id,
        workspace=tx.workspace,
        kind=kind,
        integration=integration_id,
        resource=resource_id,
        types=None if types is None else list(types),
        after=after,
    )


async def hold(tx: Transaction, claim: CleanupClaim) -> bool:
    sql = "SELECT true FROM cleanup WHERE id = :id AND epoch = :epoch FOR UPDATE"
    return bool(await tx.fetch_value(sql, id=claim.id, epoch=claim.epoch))


async def release(tx: Transaction, claim: CleanupClaim, *, done: bool, after: timedelta) -> None:
    if done:
        await tx.execute("DELETE FROM cleanup WHERE id = :id AND epoch = :epoch", id=claim.id, epoch=claim.epoch)
        return
    await tx.execute(
        f"UPDATE cleanup SET run_at = now() + CAST(:after AS interval), {NO_LEASE} WHERE id = :id AND epoch = :epoch",
        id=claim.id,
        epoch=claim.epoch,
        after=after,
    )
