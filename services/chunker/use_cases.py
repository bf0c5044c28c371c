"""The chunker's verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.events import IntegrationDisconnected, SourceChanged, SourceIndexed, SourceIndexFailed
from libs.common.http.explained import Step
from libs.common.http.wire import decode_cursor, encode_cursor
from libs.common.internal import SourceItem
from libs.common.outbox.told import told_of
from libs.common.telemetry.tracing import current_traceparent
from services.chunker.domain import Cut, Filters, Position, Wanted
from services.chunker.explaining import index_steps
from services.chunker.lexical import query_terms
from services.chunker.repository import Index, IndexQueue, Workspaces


@dataclass(frozen=True)
class Deps:
    """What consumers and controllers receive."""

    db: Database
    index_wanted: Callable[[], None]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    rows: Sequence[Row]
    lexemes: list[str]
    next_cursor: str | None


async def want_index(event: SourceChanged, deps: Deps) -> None:
    """The newest version wins; a repeated or late event changes nothing, one of an erased workspace neither."""
    async with deps.db.transaction(event.workspace_id) as tx:
        await Workspaces(tx).remember(event.workspace_id)
        await IndexQueue(tx).want(event, current_traceparent())
    deps.index_wanted()


async def want_integration_removed(event: IntegrationDisconnected, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        await IndexQueue(tx).want_integration_removed(event.integration_id, current_traceparent())
    deps.index_wanted()


async def remember_workspace(workspace: str, deps: Deps) -> None:
    async with deps.db.transaction(workspace) as tx:
        await Workspaces(tx).remember(workspace)


async def erase_workspace(workspace: str, deps: Deps) -> None:
    async with deps.db.transaction(workspace) as tx:
        await Workspaces(tx).erase(workspace)


async def save_index(db: Database, wanted: Wanted, cut: Cut) -> None:
    """One transaction: old rows leave, new ones are there, the wish is done, the fact goes out."""
    async with db.transaction(wanted.workspace_id) as tx:
        queue = IndexQueue(tx)
        if not await queue.holds(wanted):
            return
        await Index(tx).swap(wanted.workspace_id, cut)
        await queue.done(wanted, cut.item.version)
        await tx.emit(_indexed(wanted, cut.item.version, chunks=len(cut.chunks)))


async def remove_index(db: Database, wanted: Wanted, item: SourceItem) -> None:
    version = max(item.version, wanted.version)
    async with db.transaction(wanted.workspace_id) as tx:
        queue = IndexQueue(tx)
        if not await queue.holds(wanted):
            return
        await Index(tx).remove(wanted.source_id)
        await queue.done(wanted, version)
        await tx.emit(_indexed(wanted, version, deleted=True))


async def report_failure(db: Database, wanted: Wanted, version: int, code: str, detail: str) -> None:
    """A text that our own cutter cannot read is told and left; its next version is tried again."""
    async with db.transaction(wanted.workspace_id) as tx:
        queue = IndexQueue(tx)
        if not await queue.holds(wanted):
            return
        await queue.done(wanted, version)
        failed = SourceIndexFailed(
            workspace_id=wanted.workspace_id,
            source_id=wanted.source_id,
            integration_id=wanted.integration_id,
            version=version,
            code=code,
            detail=detail,
        )
        await tx.emit(failed)


async def postpone(db: Database, wanted: Wanted, seconds: float) -> None:
    async with db.transaction(wanted.workspace_id) as tx:
        await IndexQueue(tx).postpone(wanted, seconds)


async def search(
    db: Database, workspace: str, *, query: str, filters: Filters, cursor: str | None, limit: int
) -> Answers:
    """Raises NotFound for a workspace that never connected anything, InvalidCursor for a foreign cursor."""
    after = decode_cursor(cursor, Position) if cursor else None
    terms = query_terms(query)
    async with db.transaction(workspace) as tx:
        if not await Workspaces(tx).knows(workspace):
            raise NotFound("unknown workspace, or nothing is connected in it yet")
        lexemes = await Index(tx).lexemes(terms)
        rows = await Index(tx).search(lexemes, filters, after, limit + 1)
    more = rows[limit - 1] if len(rows) > limit else None
    next_cursor = encode_cursor(Position(score=more["score"], pk=more["pk"])) if more else None
    return Answers(rows=rows[:limit], lexemes=lexemes, next_cursor=next_cursor)


async def read_chunks(db: Database, workspace: str, source_id: str, *, after: int, limit: int) -> Sequence[Row]:
    async with db.transaction(workspace) as tx:
        return await Index(tx).chunks(source_id, after, limit)


async def read_summary(db: Database, workspace: str, source_id: str) -> Sequence[Row]:
    async with db.transaction(workspace) as tx:
        return await Index(tx).summaries(source_id)


async def explain_source(db: Database, workspace: str, source_id: str) -> list[Step]:
    """Raises NotFound for a workspace that never connected anything; an unknown source was simply never heard of."""
    async with db.transaction(workspace) as tx:
        if not await Workspaces(tx).knows(workspace):
            raise NotFound("unknown workspace, or nothing is connected in it yet")
        told = await told_of(tx, source_id, limit=1)
        index = Index(tx)
        return index_steps(await index.wanted(source_id), await index.source(source_id), told[0] if told else None)


def _indexed(wanted: Wanted, version: int, *, chunks: int = 0, deleted: bool = False) -> SourceIndexed:
    return SourceIndexed(
        workspace_id=wanted.workspace_id,
        source_id=wanted.source_id,
        integration_id=wanted.integration_id,
        version=version,
        chunks=chunks,
        deleted=deleted,
    )
