"""Whose turn it is: work that waits in workspaces which hold fewer of a replica's workers than another does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from libs.common.database.transaction import Transaction
from services.sync.repository.leases import CLAIMED, NEW_LEASE, Claim

DUE = "NOT paused AND run_at <= now() AND lease_until <= now()"
# Looked for among the first that are due, where each workspace has its first ones (see `leases.enqueue`). Of those who
# hold equally little the one comes first that never had a turn, then the one whose last turn is the longest ago.
FIRST = f"""
WITH held AS MATERIALIZED (
  SELECT workspace_id, workers FROM unnest(CAST(:workspaces AS text[]), CAST(:workers AS integer[]))
    h (workspace_id, workers)),
waiting AS MATERIALIZED (
  SELECT resource_id, workspace_id, priority, run_at, epoch FROM work WHERE {DUE} ORDER BY priority, run_at LIMIT 1000),
first AS MATERIALIZED (
  SELECT resource_id FROM waiting LEFT JOIN held USING (workspace_id)
  WHERE coalesce(workers, 0) < :ours ORDER BY coalesce(workers, 0), epoch, priority, run_at LIMIT 1)
"""
TAKE_TURN = f"""{FIRST},
due AS MATERIALIZED (
  SELECT resource_id FROM work WHERE resource_id = (SELECT resource_id FROM first) AND {DUE} FOR UPDATE SKIP LOCKED)
UPDATE work w SET {NEW_LEASE}, parked_until = NULL FROM due WHERE w.resource_id = due.resource_id RETURNING {CLAIMED}
"""


async def someone_waits(tx: Transaction, held: Mapping[str, int], workspace_id: str) -> bool:
    """Whether anything is due of a workspace that holds fewer workers than this one."""
    return bool(await tx.fetch_value(f"{FIRST} SELECT EXISTS (SELECT FROM first)", **_of(held, workspace_id)))


async def take(
    tx: Transaction, held: Mapping[str, int], workspace_id: str, *, owner: str, lease: timedelta
) -> Claim | None:
    """Claims it for the worker that this workspace gives up; None when another worker was quicker."""
    row = await tx.fetch_one(TAKE_TURN, owner=owner, lease=lease, **_of(held, workspace_id))
    return msgspec.convert(dict(row), Claim) if row else None


def _of(held: Mapping[str, int], workspace_id: str) -> dict[str, Any]:
    return {"workspaces": list(held), "workers": list(held.values()), "ours": held[workspace_id]}
