"""Wanted discoveries: one row an integration until its resources are found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.telemetry.tracing import current_traceparent
from services.sync.repository.leases import NEW_LEASE, NO_LEASE


class DiscoveryClaim(msgspec.Struct, frozen=True, kw_only=True):
    integration_id: str
    workspace_id: str
    resources: tuple[str, ...]
    run_id: str
    attempts: int
    epoch: int
    traceparent: str | None = None


CLAIM_DISCOVERY = f"""
WITH due AS MATERIALIZED (
  SELECT integration_id FROM discovery WHERE NOT paused AND run_at <= now() AND lease_until <= now()
  ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE discovery d SET {NEW_LEASE} FROM due WHERE d.integration_id = due.integration_id
RETURNING d.integration_id, d.workspace_id, d.resources, d.run_id, d.attempts, d.epoch, d.traceparent
"""


async def claim(tx: Transaction, *, owner: str, lease: timedelta) -> DiscoveryClaim | None:
    row = await tx.fetch_one(CLAIM_DISCOVERY, owner=owner, lease=lease)
    return msgspec.convert(dict(row), DiscoveryClaim) if row else None


async def want(tx: Transaction, *, integration_id: str, resources: Sequence[str], run_id: str) -> None:
    await tx.execute(
        "INSERT INTO discovery (integration_id, workspace_id, resources, run_id, traceparent)"
        " VALUES (:id, :workspace, :resources, :run, :traceparent) ON CONFLICT (integration_id) DO UPDATE SET"
        " resources = excluded.resources, run_id = excluded.run_id, run_at = now(), attempts = 0, paused = false,"
        f" {NO_LEASE}",
        id=integration_id,
        workspace=tx.workspace,
        resources=list(resources),
        run=run_id,
        traceparent=current_traceparent(),
    )


async def finish(tx: Transaction, claim: DiscoveryClaim) -> bool:
    """False when another owner has it: then nothing of this attempt may be written."""
    sql = "DELETE FROM discovery WHERE integration_id = :id AND epoch = :epoch"
    return await tx.execute(sql, id=claim.integration_id, epoch=claim.epoch) > 0


async def postpone(tx: Transaction, claim: DiscoveryClaim, *, after: timedelta, count: bool) -> bool:
    """False when another owner has it."""
    return await tx.execute(
        f"UPDATE discovery SET attempts = attempts + CAST(:count AS integer),"
        f" run_at = now() + CAST(:after AS interval), {NO_LEASE} WHERE integration_id = :id AND epoch = :epoch",
        id=claim.integration_id,
        epoch=claim.epoch,
        after=after,
        count=int(count),
    ) > 0  # fmt: skip
