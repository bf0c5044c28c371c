"""A delivery only says "look again", once: keys become dirty objects, a hint without keys polls its stream at once."""

from __future__ import annotations

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.events.webhook import Hint, WebhookReceived
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest
from services.sync.domain.features import concerns
from services.sync.repository import dirty, heard, integrations, leases, resources, schedules
from services.sync.repository.integrations import Integration
from services.sync.repository.leases import Wanted


class Told(msgspec.Struct, frozen=True):
    """What one delivery says of one resource."""

    resource_id: str
    hints: list[Hint]

    @property
    def streams(self) -> tuple[str, ...]:
        """Those to be read whole: then their keys need no look of their own."""
        return tuple(sorted({hint.stream for hint in self.hints if not hint.keys}))


async def take_hints(event: WebhookReceived, *, db: Database, manifest: Manifest) -> bool:
    """Whether anything is to be looked at: nothing is, and nothing is written, when the delivery was heard before."""
    async with db.transaction(event.workspace_id) as tx:
        integration = await integrations.hold(tx, event.integration_id)
        # What was of no interest at the time is none when it is told again.
        if integration is None or integration.disconnected or not await heard.note(tx, event):
            return False
        told = await _told(tx, event, integration, manifest) if integration.works else []
        # The work of all, then the keys of all, then what was heard: in the order in which everybody locks them.
        for one in told:
            await _ask(tx, event.integration_id, one)
        for one in told:
            await _mark(tx, event.integration_id, one)
        for one in told:
            await schedules.note_heard(tx, one.resource_id)
    return bool(told)


async def _told(tx: Transaction, event: WebhookReceived, integration: Integration, manifest: Manifest) -> list[Told]:
    """Hints about resources that are not selected, or that no chosen feature pulls, are of no interest."""
    wanted = [hint for hint in event.hints if concerns(manifest, hint, integration.features)]
    names = sorted({hint.resource_external_id for hint in wanted})
    selected = await resources.by_external(tx, event.integration_id, names)
    return [
        Told(resource_id, [hint for hint in wanted if selected.get(hint.resource_external_id) == resource_id])
        for resource_id in sorted(set(selected.values()))
    ]


async def _ask(tx: Transaction, integration_id: str, told: Told) -> None:
    if told.streams:
        wanted = Wanted(
            integration_id=integration_id, kind="poll", cause="webhook", ticket=new_id(), streams=told.streams
        )
        await leases.enqueue(tx, [told.resource_id], wanted, first=True)


async def _mark(tx: Transaction, integration_id: str, told: Told) -> None:
    keys = {key: hint.stream for hint in told.hints for key in hint.keys if hint.stream not in told.streams}
    if keys:
        marked = [(stream, key) for key, stream in keys.items()]
        await dirty.mark(tx, integration_id=integration_id, resource_id=told.resource_id, keys=marked)
