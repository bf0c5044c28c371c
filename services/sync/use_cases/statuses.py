"""Source.status follows what the indexer reports of the version that is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from libs.common.database.engine import Database
from libs.common.events.source import SourceIndexed, SourceIndexFailed
from services.sync.repository import catalogue
from services.sync.repository.catalogue import Report


async def note_indexed(events: Sequence[SourceIndexed], *, db: Database) -> None:
    reports = ((event.workspace_id, Report(event.source_id, event.version)) for event in events if not event.deleted)
    await _note(db, reports)


async def note_index_failed(events: Sequence[SourceIndexFailed], *, db: Database) -> None:
    reports = (
        (event.workspace_id, Report(event.source_id, event.version, "failed", f"{event.code}: {event.detail}"[:500]))
        for event in events
    )
    await _note(db, reports)


async def _note(db: Database, reports: Iterable[tuple[str, Report]]) -> None:
    """One transaction a workspace. Of several reports about one source the newest counts."""
    newest: defaultdict[str, dict[str, Report]] = defaultdict(dict)
    for workspace, report in reports:
        known = newest[workspace].get(report.source_id)
        if known is None or known.version <= report.version:
            newest[workspace][report.source_id] = report
    for workspace, about in newest.items():
        async with db.transaction(workspace) as tx:
            await catalogue.set_statuses(tx, list(about.values()))
