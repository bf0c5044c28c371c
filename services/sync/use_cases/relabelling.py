"""A rename or transfer at the provider: ids stay, labels and addresses follow, and whoever keeps them is told."""

from __future__ import annotations

from datetime import UTC, datetime

from libs.common.database.transaction import Row, Transaction
from libs.common.events.source import Cause, ResourceSelected, SourceChanged
from libs.common.provider.sync import Resource
from services.sync.repository import labels
from services.sync.repository.resources import Stored


async def follow_label(tx: Transaction, stored: Stored, found: Resource, *, cause: Cause) -> None:
    """The caller holds the row lock of the resource. A repeat tells nothing."""
    label = await labels.relabel(tx, stored.id, found)
    if label is None or (label["old_name"], label["old_url"]) == (label["name"], label["url"]):
        return
    await tx.emit(
        ResourceSelected(
            workspace_id=stored.workspace_id, integration_id=stored.integration_id, resource_id=stored.id,
            provider=stored.provider, kind=stored.kind, external_id=stored.external_id, name=label["name"],
            url=label["url"], version=label["version"],
        )
    )  # fmt: skip
    rows = await labels.readdress(tx, stored.id, old=label["old_url"], new=label["url"])
    await tx.emit(*(_readdressed(stored, row, cause) for row in rows))


def _readdressed(stored: Stored, row: Row, cause: Cause) -> SourceChanged:
    return SourceChanged(
        workspace_id=stored.workspace_id, source_id=row["id"], integration_id=stored.integration_id,
        resource_id=stored.id, provider=stored.provider, type=row["type"], change="updated", version=row["version"],
        content_hash=row["content_hash"], url=row["url"], occurred_at=datetime.now(UTC), cause=cause,
    )  # fmt: skip
