"""How far back a resource is read: a wider window brings the older part, a narrower one takes nothing away."""

from __future__ import annotations

from datetime import datetime

from libs.common.database.transaction import Transaction
from libs.common.provider.manifest import Manifest
from libs.common.provider.window import since_of
from services.sync.repository import leases, resources
from services.sync.repository.integrations import Integration
from services.sync.repository.resources import Stored
from services.sync.use_cases.runs import request_run


async def follow_window(tx: Transaction, before: Integration, now: Integration, manifest: Manifest) -> None:
    """The integration's window moves with its config, for all resources that have none of their own."""
    since = since_of(now.config)
    if since_of(before.config) == since:
        return
    found = [await resources.find(tx, one) for one in await resources.selected_ids(tx, now.id)]
    following = [one for one in found if one is not None and not one.since_own]
    wider = [one.id for one in following if await move_window(tx, one, manifest, since, own=False)]
    if wider and now.works:
        await request_run(tx, now, cause="manual", only=wider)


async def move_window(
    tx: Transaction, stored: Stored, manifest: Manifest, since: datetime | None, *, own: bool
) -> bool:
    """True when it became wider: then its streams that a date bounds start over. The run's row is locked by now."""
    wider = stored.since is not None and (since is None or since < stored.since)
    if wider:
        await leases.take_away(tx, stored.integration_id, resource_id=stored.id)
        await resources.restart_streams(tx, stored.integration_id, manifest.windowed, resource_id=stored.id)
    await resources.set_window(tx, stored.id, since=since, own=own)
    return wider
