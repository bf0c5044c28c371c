"""A promise in the transaction that makes it: this kind of work, for this thing, not before then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.ids import new_id

# The newest wish holds. One that arrives while the job runs is not covered by that run: `asked` lets it run again.
ASK = """
INSERT INTO job (id, workspace_id, kind, dedupe_key, payload, run_at)
VALUES (:id, :workspace_id, :kind, :dedupe_key, CAST(:payload AS jsonb), :run_at)
ON CONFLICT (workspace_id, kind, dedupe_key) DO UPDATE
SET payload = excluded.payload, run_at = excluded.run_at, asked = job.asked + 1, attempts = 0, last_error = NULL
RETURNING id
"""
FORGET = "DELETE FROM job WHERE workspace_id = :workspace_id AND kind = :kind AND dedupe_key = :dedupe_key"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts this one; `epoch` is this owner's."""

    id: str
    workspace_id: str
    kind: str
    dedupe_key: str
    run_at: datetime
    attempts: int
    asked: int
    epoch: int


async def run_later(
    tx: Transaction, kind: str, dedupe_key: str, payload: dict[str, Any], at: datetime, *, workspace: str | None = None
) -> str:
    """One job per (workspace, kind, key): asking again replaces what and when. Queue transactions name `workspace`."""
    owner = tx.workspace if tx.workspace is not None else workspace
    if owner is None:
        raise ValueError("a job of a queue transaction needs its workspace")
    found = await tx.fetch_value(
        ASK,
        id=new_id(),
        workspace_id=owner,
        kind=kind,
        dedupe_key=dedupe_key,
        payload=msgspec.json.encode(payload).decode(),
        run_at=at,
    )
    return str(found)


async def forget_job(tx: Transaction, kind: str, dedupe_key: str, *, workspace: str | None = None) -> bool:
    """True if there was one. A run under way goes on to its end."""
    owner = tx.workspace if tx.workspace is not None else workspace
    return bool(await tx.execute(FORGET, workspace_id=owner, kind=kind, dedupe_key=dedupe_key))
