"""Deliveries that failed at the provider, and up to when each hook was looked through for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Row, Transaction
from libs.common.provider.webhooks import Missed

# What was asked for is not asked for again before a newer attempt of it failed.
WANTED = """
  m.asked < :most_asked AND m.attempt IS DISTINCT FROM m.asked_attempt
  AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.endpoint_id = e.id AND d.delivery_key = m.delivery_key)
"""
LOOK = """
  s.id, s.workspace_id, s.integration_id, s.hook_id, s.looked_at, i.provider, i.connected, r.kind, r.external_id,
  r.name, r.url, e.id AS endpoint_id
  FROM subscription s
  JOIN integration i ON i.id = s.integration_id
  JOIN resource r ON r.id = s.resource_id
  JOIN endpoint e ON e.integration_id = s.integration_id
"""
STANDS = "s.wanted AND s.state = 'active' AND s.hook_id IS NOT NULL"


async def due_looks(tx: Transaction, *, before: datetime, now: datetime, most: int) -> Sequence[Row]:
    """Standing hooks that nobody looked through since `before`, the longest waiting first. `tx` is of the worker
    role."""
    return await tx.fetch_all(
        """
        SELECT id, workspace_id FROM subscription
         WHERE wanted AND state = 'active' AND (looked_at IS NULL OR looked_at < :before)
           AND (look_again_at IS NULL OR look_again_at <= :now)
         ORDER BY looked_at NULLS FIRST LIMIT :most
        """,
        before=before,
        now=now,
        most=most,
    )


async def look_work(tx: Transaction, subscription_id: str) -> Row | None:
    """None: there is no hook to look through."""
    return await tx.fetch_one(f"SELECT {LOOK} WHERE s.id = :id AND {STANDS}", id=subscription_id)


async def note_missed(tx: Transaction, look: Row, found: Sequence[Missed]) -> int:
    """How many are new, or failed anew; what has arrived by now is none of them."""
    return await tx.execute(
        """
        INSERT INTO missed_delivery (workspace_id, integration_id, subscription_id, delivery_key, attempt, failed_at)
        SELECT :workspace, :integration, :subscription, delivery_key, attempt, failed_at
          FROM unnest(CAST(:keys AS text[]), CAST(:attempts AS text[]), CAST(:failed_at AS timestamptz[]))
            AS found (delivery_key, attempt, failed_at)
         WHERE NOT EXISTS (
           SELECT 1 FROM delivery d WHERE d.endpoint_id = :endpoint AND d.delivery_key = found.delivery_key)
         ORDER BY delivery_key
        ON CONFLICT (subscription_id, delivery_key) DO UPDATE
          SET attempt = excluded.attempt, failed_at = excluded.failed_at
          WHERE missed_delivery.attempt <> excluded.attempt AND missed_delivery.failed_at <= excluded.failed_at
        """,
        workspace=look["workspace_id"],
        integration=look["integration_id"],
        subscription=look["id"],
        endpoint=look["endpoint_id"],
        keys=[one.delivery_key for one in found],
        attempts=[one.attempt for one in found],
        failed_at=[one.failed_at for one in found],
    )


async def note_look(tx: Transaction, subscription_id: str, *, looked_at: datetime, kept_since: datetime) -> None:
    """Everything that failed before `looked_at` is known; what the provider no longer keeps is forgotten."""
    await tx.execute(
        "DELETE FROM missed_delivery WHERE subscription_id = :id AND failed_at < :since",
        id=subscription_id,
        since=kept_since,
    )
    await tx.execute(
        "UPDATE subscription SET looked_at = :at, look_again_at = NULL, look_code = '', look_detail = ''"
        " WHERE id = :id",
        id=subscription_id,
        at=looked_at,
    )


async def note_no_look(tx: Transaction, subscription_id: str, *, again_at: datetime, code: str, detail: str) -> None:
    await tx.execute(
        "UPDATE subscription SET look_again_at = :at, look_code = :code, look_detail = :detail WHERE id = :id",
        id=subscription_id,
        at=again_at,
        code=code,
        detail=detail[:500],
    )


async def look_never(tx: Transaction, subscription_id: str) -> None:
    """Its provider tells nobody what failed."""
    await tx.execute("UPDATE subscription SET looked_at = 'infinity' WHERE id = :id", id=subscription_id)


async def next_missed(tx: Transaction, integration_id: str, *, now: datetime, most_asked: int) -> Row | None:
    """The oldest one that is to be asked for again, of the hooks that can be asked."""
    return await tx.fetch_one(
        f"""
        SELECT m.delivery_key, m.attempt, {LOOK} JOIN missed_delivery m ON m.subscription_id = s.id
         WHERE m.integration_id = :integration AND {STANDS}
           AND (s.look_again_at IS NULL OR s.look_again_at <= :now) AND {WANTED}
         ORDER BY m.failed_at, m.delivery_key LIMIT 1
        """,
        integration=integration_id,
        now=now,
        most_asked=most_asked,
    )


async def mark_asked(tx: Transaction, missed: Row, *, at: datetime) -> None:
    await tx.execute(
        "UPDATE missed_delivery SET asked = asked + 1, asked_attempt = :attempt, asked_at = :at"
        " WHERE subscription_id = :subscription AND delivery_key = :key",
        subscription=missed["id"],
        key=missed["delivery_key"],
        attempt=missed["attempt"],
        at=at,
    )
