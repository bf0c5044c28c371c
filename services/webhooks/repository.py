"""Every SQL statement of webhooks; each function takes the transaction that it is part of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events import DesiredState, ResourceDeselected, ResourceSelected
from services.webhooks.domain import Arrival, Hooks, HookState, Report

# Versions grow under the row lock and never go back, also on a restored database.
NEXT = "greatest({old} + 1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))"
# Children first; deleting an endpoint waits for the deliveries that are being stored at it.
ERASED_TABLES = (
    "subscription",
    "delivery",
    "endpoint",
    "resource",
    "integration",
    "known_workspace",
    "dead_letter",
    "job",
    "data_key",
)


# --- projections


async def is_erased(tx: Transaction, workspace: str) -> bool:
    """Holds until the end of the transaction: an erasure takes the same lock first."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('erase:' || :workspace, 0))", workspace=workspace
    )
    found = await tx.fetch_value(
        "SELECT true FROM erased_workspace WHERE workspace_id = :workspace", workspace=workspace
    )
    return bool(found)


async def know_workspace(tx: Transaction, workspace: str) -> None:
    await tx.execute(
        "INSERT INTO known_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING", workspace=workspace
    )


async def put_integration(
    tx: Transaction, *, integration_id: str, workspace: str, provider: str, version: int, state: DesiredState | None
) -> bool:
    """Writes only if newer; `state` None is a disconnect. While it is paused nothing is monitored."""
    written = await tx.execute(
        """
        INSERT INTO integration (id, workspace_id, provider, version, connected, monitor_changes)
        VALUES (:id, :workspace, :provider, :version, :connected, :monitor)
        ON CONFLICT (id) DO UPDATE
          SET version = excluded.version, connected = excluded.connected, monitor_changes = excluded.monitor_changes
          WHERE integration.version < excluded.version
        """,
        id=integration_id,
        workspace=workspace,
        provider=provider,
        version=version,
        connected=state is not None,
        monitor=state is not None and state.monitor_changes and state.status != "inactive",
    )
    return written > 0


async def lock_integration(tx: Transaction, integration_id: str) -> Row | None:
    return await tx.fetch_one(
        "SELECT id, workspace_id, provider, connected, monitor_changes, CAST(reported AS text) AS reported"
        " FROM integration WHERE id = :id FOR NO KEY UPDATE",
        id=integration_id,
    )


async def put_resource(tx: Transaction, event: ResourceSelected | ResourceDeselected) -> bool:
    """Writes only if newer. A deselection that comes first is kept, so that an older selection changes nothing."""
    selected = isinstance(event, ResourceSelected)
    written = await tx.execute(
        """
        INSERT INTO resource (id, workspace_id, integration_id, kind, external_id, name, url, version, selected)
        VALUES (:id, :workspace, :integration, :kind, :external_id, :name, :url, :version, :selected)
        ON CONFLICT (id) DO UPDATE
          SET version = excluded.version, selected = excluded.selected,
              name = CASE WHEN excluded.selected THEN excluded.name ELSE resource.name END,
              url = CASE WHEN excluded.selected THEN excluded.url ELSE resource.url END
          WHERE resource.version < excluded.version
        """,
        id=event.resource_id,
        workspace=event.workspace_id,
        integration=event.integration_id,
        kind=event.kind,
        external_id=event.external_id,
        name=event.name if isinstance(event, ResourceSelected) else "",
        url=event.url if isinstance(event, ResourceSelected) else "",
        version=event.version,
        selected=selected,
    )
    return written > 0


async def resources_of(tx: Transaction, integration_id: str) -> Sequence[Row]:
    return await tx.fetch_all(
        "SELECT r.id, r.selected, s.id AS subscription_id, s.wanted, s.hook_id, s.state"
        " FROM resource r LEFT JOIN subscription s ON s.resource_id = r.id"
        " WHERE r.integration_id = :integration ORDER BY r.id",
        integration=integration_id,
    )


async def note_report(tx: Transaction, integration_id: str, report: Report) -> int:
    """The version of this report of the hooks' state."""
    version = await tx.fetch_value(
        "UPDATE integration SET reported = CAST(:report AS jsonb), reported_version = "
        + NEXT.format(old="reported_version")
        + " WHERE id = :id RETURNING reported_version",
        id=integration_id,
        report=msgspec.json.encode(report).decode(),
    )
    return int(version)


# --- endpoints

ENDPOINT = (
    "id, workspace_id, integration_id, provider, scheme, secret_version, secret_sealed, secret_shown_at,"
    " previous_version, previous_sealed, previous_until, created_at, revoked_at"
)


async def add_endpoint(
    tx: Transaction, *, endpoint_id: str, workspace: str, integration_id: str, provider: str, scheme: str, sealed: bytes
) -> bool:
    """False when the integration has one already."""
    added = await tx.execute(
        """
        INSERT INTO endpoint (id, workspace_id, integration_id, provider, scheme, secret_version, secret_sealed)
        VALUES (:id, :workspace, :integration, :provider, :scheme, 1, :sealed)
        ON CONFLICT (workspace_id, integration_id) DO NOTHING
        """,
        id=endpoint_id,
        workspace=workspace,
        integration=integration_id,
        provider=provider,
        scheme=scheme,
        sealed=sealed,
    )
    return added > 0


async def has_endpoint(tx: Transaction, integration_id: str) -> bool:
    found = await tx.fetch_value("SELECT true FROM endpoint WHERE integration_id = :id", id=integration_id)
    return bool(found)


async def set_revoked(tx: Transaction, integration_id: str, *, revoked: bool) -> None:
    await tx.execute(
        "UPDATE endpoint SET revoked_at = CASE WHEN :revoked THEN coalesce(revoked_at, now()) END"
        " WHERE integration_id = :id",
        id=integration_id,
        revoked=revoked,
    )


async def live_endpoint(tx: Transaction, endpoint_id: str) -> Row | None:
    return await tx.fetch_one(f"SELECT {ENDPOINT} FROM endpoint WHERE id = :id AND revoked_at IS NULL", id=endpoint_id)


async def lock_endpoint_of(tx: Transaction, integration_id: str) -> Row | None:
    return await tx.fetch_one(
        f"SELECT {ENDPOINT} FROM endpoint WHERE integration_id = :id AND revoked_at IS NULL FOR NO KEY UPDATE",
        id=integration_id,
    )


async def put_secret(
    tx: Transaction, endpoint_id: str, *, sealed: bytes, version: int, previous_until: datetime
) -> None:
    """The secret that was current becomes the previous one; what was previous ends now."""
    await tx.execute(
        """
        UPDATE endpoint
           SET previous_sealed = secret_sealed, previous_version = secret_version, previous_until = :until,
               secret_sealed = :sealed, secret_version = :version, secret_shown_at = :shown
         WHERE id = :id
        """,
        id=endpoint_id,
        sealed=sealed,
        version=version,
        until=previous_until,
        shown=None,
    )


async def mark_shown(tx: Transaction, endpoint_id: str) -> None:
    await tx.execute("UPDATE endpoint SET secret_shown_at = now() WHERE id = :id", id=endpoint_id)


async def last_delivery_at(tx: Transaction, integration_id: str) -> datetime | None:
    found: datetime | None = await tx.fetch_value(
        "SELECT received_at FROM delivery WHERE integration_id = :id ORDER BY id DESC LIMIT 1", id=integration_id
    )
    return found


# --- deliveries

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

    Raises IntegrityError when an endpoint is gone by now. `tx` is of the worker role.
    """
    columns: dict[str, Any] = {name: [getattr(one, name) for one in arrivals] for name in STORED_AS_IS}
    headers = [msgspec.json.encode(one.headers).decode() for one in arrivals]
    rows = await tx.fetch_all(STORE, **columns, headers=headers)
    return {row["id"] for row in rows}


async def deliveries(tx: Transaction, integration_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
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


# --- subscriptions


async def wish(
    tx: Transaction, *, subscription_id: str, workspace: str, integration_id: str, resource_id: str, wanted: bool,
    state: HookState,
) -> str:  # fmt: skip
    """What is wanted from now on; answers the row's own id."""
    found = await tx.fetch_value(
        """
        INSERT INTO subscription (id, workspace_id, integration_id, resource_id, wanted, state)
        VALUES (:id, :workspace, :integration, :resource, :wanted, :state)
        ON CONFLICT (workspace_id, resource_id) DO UPDATE
          SET wanted = excluded.wanted, state = excluded.state, code = '', detail = '', updated_at = now()
        RETURNING id
        """,
        id=subscription_id,
        workspace=workspace,
        integration=integration_id,
        resource=resource_id,
        wanted=wanted,
        state=state,
    )
    return str(found)


async def subscription_work(tx: Transaction, subscription_id: str) -> Row | None:
    """Everything that settling one hook needs to know."""
    return await tx.fetch_one(
        """
        SELECT s.id, s.workspace_id, s.integration_id, s.wanted, s.hook_id, s.secret_version, s.expires_at, i.provider,
               i.connected, r.kind, r.external_id, r.name, r.url, e.id AS endpoint_id,
               e.secret_version AS current_version, e.secret_sealed
          FROM subscription s
          JOIN integration i ON i.id = s.integration_id
          JOIN resource r ON r.id = s.resource_id
          JOIN endpoint e ON e.integration_id = s.integration_id
         WHERE s.id = :id
        """,
        id=subscription_id,
    )


async def settle(
    tx: Transaction, subscription_id: str, *, hook_id: str | None, secret_version: int | None, state: HookState,
    expires_at: datetime | None,
) -> None:  # fmt: skip
    """What now stands at the provider; a wish that changed meanwhile keeps its own state."""
    await tx.execute(
        """
        UPDATE subscription
           SET hook_id = :hook_id, secret_version = :secret_version, expires_at = :expires_at, code = '', detail = '',
               state = CASE WHEN wanted = (CAST(:hook_id AS text) IS NOT NULL) THEN :state ELSE state END,
               updated_at = now()
         WHERE id = :id
        """,
        id=subscription_id,
        hook_id=hook_id,
        secret_version=secret_version,
        state=state,
        expires_at=expires_at,
    )


async def fail(tx: Transaction, subscription_id: str, *, code: str, detail: str) -> None:
    await tx.execute(
        "UPDATE subscription SET state = 'failing', code = :code, detail = :detail, updated_at = now() WHERE id = :id",
        id=subscription_id,
        code=code,
        detail=detail[:500],
    )


async def hooks_of(tx: Transaction, integration_id: str) -> list[Hooks]:
    rows = await tx.fetch_all(
        "SELECT wanted, state, hook_id, expires_at, detail FROM subscription WHERE integration_id = :id ORDER BY id",
        id=integration_id,
    )
    return [Hooks(**row) for row in rows]


async def standing(tx: Transaction, integration_id: str) -> Sequence[Row]:
    """Subscriptions whose hook must learn a new secret."""
    return await tx.fetch_all(
        "SELECT id, resource_id FROM subscription WHERE integration_id = :id AND wanted ORDER BY id", id=integration_id
    )


async def subscriptions(tx: Transaction, integration_id: str, *, after: str | None, limit: int) -> Sequence[Row]:
    """`last_delivery_at` is of the integration's endpoint, which all its hooks share."""
    return await tx.fetch_all(
        """
        SELECT s.id, s.resource_id, r.external_id, r.name, s.wanted, s.state, s.hook_id, s.expires_at, s.code, s.detail,
               s.updated_at
          FROM subscription s JOIN resource r ON r.id = s.resource_id
         WHERE s.integration_id = :integration AND (CAST(:after AS text) IS NULL OR s.id > :after)
         ORDER BY s.id LIMIT :limit
        """,
        integration=integration_id,
        after=after,
        limit=limit,
    )


# --- erasure


async def erase(tx: Transaction, workspace: str) -> None:
    """Every row of the workspace in this schema; what stays is the tombstone of its id."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('erase:' || :workspace, 0))", workspace=workspace)
    await tx.execute(
        "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING", workspace=workspace
    )
    for table in ERASED_TABLES:
        await tx.execute(f"DELETE FROM {table} WHERE workspace_id = :workspace", workspace=workspace)
    # A row that is not published yet names ids only, and its reader must not miss it.
    await tx.execute(
        "DELETE FROM outbox WHERE workspace_id = :workspace AND published_at IS NOT NULL", workspace=workspace
    )
