"""A delivery only says "look again": keys become dirty objects, a hint without keys polls its stream at once."""

from __future__ import annotations

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.events.webhook import Hint, WebhookReceived
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest
from services.sync.domain.features import concerns
from services.sync.repository import dirty, integrations, leases, resources, schedules
from services.sync.repository.leases import Wanted


async def take_hints(event: WebhookReceived, *, db: Database, manifest: Manifest) -> None:
    """Hints about resources that are not selected, or that no chosen feature pulls, are of no interest."""
    async with db.transaction(event.workspace_id) as tx:
        integration = await integrations.find(tx, event.integration_id)
        if integration is None or not integration.works:
            return
        wanted = [hint for hint in event.hints if concerns(manifest, hint, integration.features)]
        names = sorted({hint.resource_external_id for hint in wanted})
        selected = await resources.by_external(tx, event.integration_id, names)
        resource_ids = sorted(set(selected.values()))
        for resource_id in resource_ids:
            hints = [hint for hint in wanted if selected.get(hint.resource_external_id) == resource_id]
            await _take(tx, event.integration_id, resource_id, hints)
        for resource_id in resource_ids:  # after their work, as where a look ends
            await schedules.note_heard(tx, resource_id)


async def _take(tx: Transaction, integration_id: str, resource_id: str, hints: list[Hint]) -> None:
    streams = tuple(sorted({hint.stream for hint in hints if not hint.keys}))
    if streams:
        wanted = Wanted(integration_id=integration_id, kind="poll", cause="webhook", ticket=new_id(), streams=streams)
        await leases.enqueue(tx, [resource_id], wanted, first=True)
    keys = {key: hint.stream for hint in hints for key in hint.keys if hint.stream not in streams}
    if keys:
        marked = [(stream, key) for key, stream in keys.items()]
        await dirty.mark(tx, integration_id=integration_id, resource_id=resource_id, keys=marked)
