"""A rename or transfer at the provider: ids stay, labels and addresses follow, and whoever keeps them is told."""

from __future__ import annotations

from datetime import UTC, datetime

from libs.common.database.transaction import Row, Transaction
from libs.common.events.source import Cause, ResourceSelected, SourceChanged
from libs.common.provider.sync import Resource
from services.sync.repository import labels, resources
from services.sync.repository.cleanups import CleanupClaim
from services.sync.repository.resources import Stored

STEP = 500


async def follow_label(tx: Transaction, stored: Stored, found: Resource, *, cause: Cause) -> None:
    """The caller holds the row lock of the resource. Its sources follow in batches of their own. A repeat tells
    nothing.
    """
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
    await labels.want_readdressed(tx, stored, old_url=label["old_url"], cause=cause)


async def readdress_some(tx: Transaction, claim: CleanupClaim) -> bool:
    """One batch: each source is as before or as after, with its event. False when none is left."""
    if not await resources.lock_selected(tx, claim.resource_id):
        return False
    rows = await labels.readdress_some(tx, claim.id, claim.resource_id, STEP)
    await tx.emit(*(_readdressed(claim, row) for row in rows or ()))
    return rows is not None


def _readdressed(claim: CleanupClaim, row: Row) -> SourceChanged:
    return SourceChanged(
        workspace_id=claim.workspace_id, source_id=row["id"], integration_id=claim.integration_id,
        resource_id=claim.resource_id, provider=row["provider"], type=row["type"], change="updated",
        version=row["version"], content_hash=row["content_hash"], url=row["url"], occurred_at=datetime.now(UTC),
        cause=row["cause"],
    )  # fmt: skip
