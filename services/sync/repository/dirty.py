"""Dirty objects: keys that a hint named, claimed in batches of one resource."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.telemetry.tracing import current_traceparent
from services.sync.repository.leases import NO_LEASE, in_order


class DirtyClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Dirty keys of one resource: key → (stream, wanted)."""

    resource_id: str
    workspace_id: str
    integration_id: str
    epoch: int
    attempts: int
    since: datetime
    keys: dict[str, tuple[str, int]]
    traceparent: str | None = None


# A batch of one resource: one answer of the provider often covers many keys. Workspaces that this owner reads for come
# after all others, and none of them has more than its share of the owner's loops.
DUE = "NOT d.paused AND d.run_at <= now() AND d.lease_until <= now()"
CLAIM_DIRTY = f"""
WITH served AS MATERIALIZED (
  SELECT workspace_id, count(DISTINCT resource_id) AS loops FROM dirty_object
  WHERE owner = :owner AND lease_until > now() GROUP BY workspace_id),
fresh AS MATERIALIZED (
  SELECT d.resource_id FROM dirty_object d
  WHERE {DUE} AND NOT EXISTS (SELECT FROM served s WHERE s.workspace_id = d.workspace_id)
  ORDER BY d.run_at LIMIT 1 FOR UPDATE SKIP LOCKED),
more AS MATERIALIZED (
  SELECT d.resource_id FROM dirty_object d
  WHERE {DUE} AND NOT EXISTS (SELECT FROM fresh)
    AND d.workspace_id IN (SELECT workspace_id FROM served WHERE loops < :share)
  ORDER BY d.run_at LIMIT 1 FOR UPDATE SKIP LOCKED),
first AS (SELECT resource_id FROM fresh UNION ALL SELECT resource_id FROM more),
due AS MATERIALIZED (
  SELECT d.resource_id, d.key FROM dirty_object d JOIN first ON d.resource_id = first.resource_id
  WHERE {DUE}
  ORDER BY d.run_at LIMIT :most FOR UPDATE OF d SKIP LOCKED),
ours AS MATERIALIZED (SELECT nextval('lease_epoch') AS epoch)
UPDATE dirty_object d SET owner = :owner, epoch = ours.epoch,
  lease_until = clock_timestamp() + CAST(:lease AS interval)
FROM due, ours WHERE d.resource_id = due.resource_id AND d.key = due.key
RETURNING d.resource_id, d.workspace_id, d.integration_id, d.key, d.stream, d.wanted, d.attempts, d.epoch,
  clock_timestamp() AS since, d.traceparent
"""


async def claim(tx: Transaction, *, owner: str, lease: timedelta, most: int, share: int) -> DirtyClaim | None:
    """`share`: of the owner's loops, those that one workspace may hold at a time."""
    rows = await tx.fetch_all(CLAIM_DIRTY, owner=owner, lease=lease, most=most, share=share)
    if not rows:
        return None
    first = rows[0]
    return DirtyClaim(
        resource_id=first["resource_id"],
        workspace_id=first["workspace_id"],
        integration_id=first["integration_id"],
        epoch=first["epoch"],
        attempts=max(row["attempts"] for row in rows),
        since=first["since"],
        keys={row["key"]: (row["stream"], row["wanted"]) for row in rows},
        traceparent=next((row["traceparent"] for row in rows if row["traceparent"]), None),
    )


MARK_DIRTY = """
INSERT INTO dirty_object (resource_id, key, workspace_id, integration_id, stream, traceparent, run_at, wanted)
VALUES (:resource, :key, :workspace, :integration, :stream, :traceparent, now() + CAST(:after AS interval),
  CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint))
ON CONFLICT (resource_id, key) DO UPDATE SET wanted = greatest(dirty_object.wanted + 1, excluded.wanted),
  traceparent = excluded.traceparent,
  run_at = CASE WHEN dirty_object.attempts = 0 THEN least(dirty_object.run_at, excluded.run_at)
                ELSE dirty_object.run_at END
"""


async def mark(
    tx: Transaction,
    *,
    integration_id: str,
    resource_id: str,
    keys: Sequence[tuple[str, str]],
    after: timedelta = timedelta(),
) -> None:
    """`keys` are (stream, key)."""
    rows = [
        {
            "resource": resource_id, "workspace": tx.workspace, "integration": integration_id, "stream": stream,
            "key": key, "traceparent": current_traceparent(), "after": after,
        }
        for stream, key in sorted(keys, key=lambda pair: pair[1])
    ]  # fmt: skip
    await tx.execute_many(MARK_DIRTY, rows)


async def lock(tx: Transaction, claim: DirtyClaim) -> set[str]:
    """The keys that are still ours, locked."""
    rows = await tx.fetch_all(
        "SELECT key FROM dirty_object WHERE resource_id = :id AND epoch = :epoch ORDER BY key FOR UPDATE",
        id=claim.resource_id,
        epoch=claim.epoch,
    )
    return {row["key"] for row in rows}


async def finish(tx: Transaction, claim: DirtyClaim, *, keep: Sequence[str] = ()) -> None:
    """What was marked again meanwhile, and what is in `keep`, stays to be read once more."""
    await tx.execute_many(
        "DELETE FROM dirty_object WHERE resource_id = :id AND key = :key AND epoch = :epoch AND wanted = :wanted",
        [
            {"id": claim.resource_id, "key": key, "epoch": claim.epoch, "wanted": wanted}
            for key, (_, wanted) in claim.keys.items()
            if key not in set(keep)
        ],
    )
    await tx.execute(
        f"UPDATE dirty_object SET attempts = 0, run_at = now(), {NO_LEASE} WHERE resource_id = :id AND epoch = :epoch",
        id=claim.resource_id,
        epoch=claim.epoch,
    )


async def postpone(tx: Transaction, claim: DirtyClaim, *, after: timedelta, count: bool = True) -> None:
    """`count` says that this was a failed attempt."""
    changes = f"attempts = attempts + CAST(:count AS integer), run_at = now() + CAST(:after AS interval), {NO_LEASE}"
    await tx.execute(
        in_order("dirty_object", changes, "resource_id = :id AND epoch = :epoch"),
        id=claim.resource_id,
        epoch=claim.epoch,
        after=after,
        count=int(count),
    )
