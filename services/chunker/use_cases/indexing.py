"""Wanting a source indexed or removed, and how each such wish ends."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.events import IntegrationDisconnected, SourceChanged, SourceIndexed, SourceIndexFailed
from libs.common.events.catalog import topic_of
from libs.common.internal import SourceItem
from libs.common.outbox.told import told_of
from libs.common.telemetry.tracing import current_traceparent
from services.chunker.deps import Deps
from services.chunker.domain.indexing import Cut, Wanted
from services.chunker.repository import chunks, feedback, queue, workspaces
from services.chunker.repository.summaries import sources, trees
from services.chunker.summarising import Written
from services.chunker.use_cases.feedback import forget_source


async def want_index(event: SourceChanged, deps: Deps) -> None:
    """The newest version wins; a repeated or late event changes nothing, one of an erased workspace neither."""
    async with deps.db.transaction(event.workspace_id) as tx:
        await workspaces.remember(tx, event.workspace_id)
        await queue.want(tx, event, current_traceparent())
    deps.index_wanted()


async def want_integration_removed(event: IntegrationDisconnected, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        await queue.want_integration_removed(tx, event.integration_id, current_traceparent())
        await feedback.forget_integration(tx, event.integration_id)
        await trees.drop_integration(tx, event.workspace_id, event.integration_id)
    deps.index_wanted()


async def save_index(db: Database, wanted: Wanted, cut: Cut, *, better_summaries: bool = False) -> None:
    """One transaction: old rows leave, new ones are there, the wish is done, the fact goes out."""
    async with db.transaction(wanted.workspace_id) as tx:
        if not await queue.holds(tx, wanted):
            return
        await chunks.swap(tx, wanted.workspace_id, cut, better_summaries=better_summaries)
        await queue.done(tx, wanted, cut.item.version)
        await tx.emit(_indexed(wanted, cut.item.version, chunks=len(cut.chunks)))


async def known_summaries(db: Database, group: Sequence[Wanted]) -> dict[str, dict[str, Written]]:
    """Of sources of one workspace, read before cutting: what was made of the same input is kept."""
    async with db.transaction(group[0].workspace_id) as tx:
        return await sources.known(tx, [wanted.source_id for wanted in group])


async def remove_index(db: Database, wanted: Wanted, item: SourceItem) -> None:
    """That it has left is told if it was there: an old event about what is gone is no news."""
    version = max(item.version, wanted.version)
    async with db.transaction(wanted.workspace_id) as tx:
        if not await queue.holds(tx, wanted):
            return
        if await chunks.remove(tx, wanted.workspace_id, wanted.source_id):
            await forget_source(tx, wanted.workspace_id, wanted.source_id)
            await tx.emit(_indexed(wanted, version, deleted=True))
        await queue.done(tx, wanted, version)


async def report_failure(db: Database, wanted: Wanted, version: int, code: str, detail: str) -> None:
    """A text that our own cutter cannot read is told and left; its next version is tried again. An old event has it
    tried again as well: what was the last word about it is not told twice."""
    async with db.transaction(wanted.workspace_id) as tx:
        if not await queue.holds(tx, wanted):
            return
        await queue.done(tx, wanted, version)
        failed = SourceIndexFailed(
            workspace_id=wanted.workspace_id,
            source_id=wanted.source_id,
            integration_id=wanted.integration_id,
            version=version,
            code=code,
            detail=detail,
        )
        if not await _was_told(tx, failed):
            await tx.emit(failed)


async def _was_told(tx: Transaction, failed: SourceIndexFailed) -> bool:
    topic = topic_of(failed).name
    return any(
        told.topic == topic and msgspec.json.decode(told.payload, type=SourceIndexFailed) == failed
        for told in await told_of(tx, failed.key, limit=1)
    )


async def postpone(db: Database, wanted: Wanted, seconds: float) -> None:
    async with db.transaction(wanted.workspace_id) as tx:
        await queue.postpone(tx, wanted, seconds)


def _indexed(wanted: Wanted, version: int, *, chunks: int = 0, deleted: bool = False) -> SourceIndexed:
    return SourceIndexed(
        workspace_id=wanted.workspace_id,
        source_id=wanted.source_id,
        integration_id=wanted.integration_id,
        version=version,
        chunks=chunks,
        deleted=deleted,
    )
