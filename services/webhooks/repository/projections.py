"""What auth and sync have told, by version, and what we told of the hooks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events import DesiredState, ResourceDeselected, ResourceSelected
from services.webhooks.domain import Report

# Versions grow under the row lock and never go back, also on a restored database.
NEXT = "greatest({old} + 1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))"


async def hold_integration(tx: Transaction, integration_id: str) -> None:
    """Until the end of the transaction: what auth and what sync tell of it are never written past each other, or each
    would miss the other's row and nobody would wish for the hook."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('integration:' || :id, 0))", id=integration_id)


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
