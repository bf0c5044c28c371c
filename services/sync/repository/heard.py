"""Deliveries that were heard: their events have no version that would tell a repeat from news."""

from __future__ import annotations

from datetime import timedelta

from libs.common.database.transaction import Transaction
from libs.common.events.catalog import topic_of
from libs.common.events.webhook import WebhookReceived

# A broker that loses its memory at the end of a topic's retention is told all of it again, and holds it as long again.
KEPT = timedelta(hours=2 * topic_of(WebhookReceived).retention_hours)
STEP = 2000

# With it the day's wish to forget what is noted on that day, which nobody else writes.
NOTE = """
WITH noted AS (
  INSERT INTO heard_delivery (workspace_id, integration_id, delivery_id, received_at)
  VALUES (:workspace, :integration, :delivery, :received_at) ON CONFLICT DO NOTHING RETURNING workspace_id),
later AS (
  INSERT INTO cleanup (id, workspace_id, kind, run_at)
  SELECT 'heard:' || workspace_id || ':' || current_date, workspace_id, 'expired',
    now() + CAST(:kept AS interval) + interval '1 day'
  FROM noted ON CONFLICT DO NOTHING)
SELECT count(*) FROM noted
"""


async def note(tx: Transaction, event: WebhookReceived) -> bool:
    """False for one that was heard. Asked for again by a person, a delivery has another `received_at`. Before any lock
    that others need: who waits here waits for the same delivery, or for the day's first, and holds up nobody.
    """
    noted = await tx.fetch_value(
        NOTE,
        workspace=tx.workspace,
        integration=event.integration_id,
        delivery=event.delivery_id,
        received_at=event.received_at,
        kept=KEPT,
    )
    return bool(noted)


# Ids sort by time: what is old stands first in the index, and no more than a step of it is read.
FORGET_OLD = """
DELETE FROM heard_delivery WHERE ctid = ANY(ARRAY(
  SELECT h.ctid FROM known_integration k CROSS JOIN LATERAL (
    SELECT ctid, heard_at FROM heard_delivery
    WHERE workspace_id = :workspace AND integration_id = k.id ORDER BY delivery_id LIMIT :most) h
  WHERE k.workspace_id = :workspace AND h.heard_at < now() - CAST(:kept AS interval)))
"""
FORGET_INTEGRATION = """
DELETE FROM heard_delivery WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM heard_delivery WHERE workspace_id = :workspace AND integration_id = :id LIMIT :most))
"""


async def forget_old(tx: Transaction) -> bool:
    """A step; True while there may be more: of what stands first, some was told late, or again, and stays for now."""
    return await tx.execute(FORGET_OLD, workspace=tx.workspace, kept=KEPT, most=STEP) > 0


async def forget_integration(tx: Transaction, integration_id: str) -> bool:
    return await tx.execute(FORGET_INTEGRATION, workspace=tx.workspace, id=integration_id, most=STEP) >= STEP
