"""Source.status follows what the indexer reports of the version that is there."""

from __future__ import annotations

from libs.common.database.engine import Database
from libs.common.events.source import SourceIndexed, SourceIndexFailed
from services.sync.repository import catalogue


async def note_indexed(event: SourceIndexed, *, db: Database) -> None:
    if event.deleted:
        return
    async with db.transaction(event.workspace_id) as tx:
        await catalogue.set_status(tx, event.source_id, version=event.version, status="ready", detail=None)


async def note_index_failed(event: SourceIndexFailed, *, db: Database) -> None:
    async with db.transaction(event.workspace_id) as tx:
        detail = f"{event.code}: {event.detail}"[:500]
        await catalogue.set_status(tx, event.source_id, version=event.version, status="failed", detail=detail)
