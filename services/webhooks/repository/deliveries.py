"""Deliveries as they came, each once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from libs.common.database.transaction import Row, Transaction
from services.webhooks.domain import Arrival

STORE = """
INSERT INTO delivery (id, workspace_id, endpoint_id, integration_id, provider, delivery_key, event, outcome, reason,
                      body, body_hash, headers, received_at, traceparent)
SELECT id, workspace_id, endpoint_id, integration_id, provider, delivery_key, event, outcome, reason,
       body, body_hash, CAST(headers AS jsonb), received_at, traceparent
  FROM unnest(CAST(:id AS text[]), CAST(:workspace_id AS text[]), CAST(:endpoint_id AS text[]),
              CAST(:integration_id AS text[]), CAST(:provider AS text[]), CAST(:delivery_key AS text[]),
              CAST(:event AS text[]), CAST(:outcome AS text[]), CAST(:reason AS text[]), CAST(:body AS bytea[]),
              CAST(:body_hash AS bytea[]), CAST(:headers AS text[]), CAST(:received_at AS timestamptz[]),
              CAST(:traceparent AS text[]))
    AS arriving (id, workspace_id, endpoint_id, integration_id, provider, delivery_key, event, outcome, reason,
                 body, body_hash, headers, received_at, traceparent)
ON CONFLICT DO NOTHING
RETURNING id
"""
STORED_AS_IS = (
    "id", "workspace_id", "endpoint_id", "integration_id", "provider", "delivery_key", "event", "outcome", "reason",
    "body", "body_hash", "received_at", "traceparent",
)  # fmt: skip


async def store(tx: Transaction, arrivals: Sequence[Arrival]) -> set[str]:
    """Answers the ids that were new: a repeat, by its id or by the bytes of a handled one, changes nothing.

    Raises IntegrityConstraintViolationError when an endpoint is gone by now. `tx` is of the worker role.
    """
    columns: dict[str, Any] = {name: [getattr(one, name) for one in arrivals] for name in STORED_AS_IS}
    headers = [msgspec.json.encode(one.headers).decode() for one in arrivals]
    rows = await tx.fetch_all(STORE, **columns, headers=headers)
    return {row["id"] for row in rows}


async def of_integration(tx: Transaction, integration_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first: ids sort by time."""
    return await tx.fetch_all(
        """
        SELECT id, delivery_key, event, outcome, reason, received_at, traceparent, replayed, replayed_at,
               octet_length(body) AS size, encode(body_hash, 'hex') AS body_hash
          FROM delivery
         WHERE integration_id = :integration AND (CAST(:before AS text) IS NULL OR id < :before)
         ORDER BY id DESC LIMIT :limit
        """,
        integration=integration_id,
        before=before,
        limit=limit,
    )


async def mark_replayed(tx: Transaction, delivery_id: str) -> Row | None:
    """The delivery as stored, and how often it was replayed with this time."""
    return await tx.fetch_one(
        "UPDATE delivery SET replayed = replayed + 1, replayed_at = now() WHERE id = :id"
        " RETURNING id, integration_id, provider, body, CAST(headers AS text) AS headers, replayed",
        id=delivery_id,
    )


async def last_delivery_at(tx: Transaction, integration_id: str) -> datetime | None:
    found: datetime | None = await tx.fetch_value(
        "SELECT received_at FROM delivery WHERE integration_id = :id ORDER BY id DESC LIMIT 1", id=integration_id
    )
    return found


async def forget_old(tx: Transaction, *, before: datetime, most: int) -> int:
    """All but the newest of each integration. `tx` is of the worker role."""
    return await tx.execute(
        """
        DELETE FROM delivery WHERE id = ANY(ARRAY(
          SELECT d.id FROM delivery d
           WHERE d.received_at < :before AND EXISTS (
             SELECT FROM delivery n
              WHERE n.workspace_id = d.workspace_id AND n.integration_id = d.integration_id AND n.id > d.id)
           ORDER BY d.received_at LIMIT :most))
        """,
        before=before,
        most=most,
    )


async def forget_some(tx: Transaction, integration_id: str, *, most: int) -> int:
    return await tx.execute(
        "DELETE FROM delivery WHERE id = ANY(ARRAY(SELECT id FROM delivery"
        " WHERE workspace_id = :workspace AND integration_id = :integration LIMIT :most))",
        workspace=tx.workspace,
        integration=integration_id,
        most=most,
    )
