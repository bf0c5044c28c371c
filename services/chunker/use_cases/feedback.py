"""Recording what people say of answers, telling its counts, and forgetting it with what it was about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from libs.common.errors import NotFound
from libs.common.events import FeedbackRecorded
from libs.common.http.wire import decode_cursor, following, in_utc
from services.chunker.domain.feedback import Counts, Given
from services.chunker.repository import feedback

NO_TARGET = "no such source or chunk, or it is not indexed any more"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A page of feedback, and the counts of all of it."""

    rows: Sequence[Row]
    counts: Counts
    next_cursor: str | None


async def record_feedback(db: Database, workspace: str, given: Given) -> str:
    """A repeat changes nothing; another signal of the same person on the same target replaces the first."""
    async with db.transaction(workspace) as tx:
        about = await feedback.target(tx, given)
        if about is None:
            raise NotFound(NO_TARGET)
        await feedback.lock_counts(tx, workspace, about.integration_id)
        old = await feedback.said(tx, about, given.subject)
        if old and (old["signal"], old["query"], old["comment"]) == (given.signal, given.query, given.comment):
            return str(old["id"])
        saved = await feedback.save(tx, workspace, about, given)
        less = [old["signal"]] if old else []
        counts = await feedback.recount(tx, about.integration_id, [given.signal], less)
        await tx.emit(_recorded(workspace, about.integration_id, about.source_id, counts))
        return saved


async def read_feedback(db: Database, workspace: str, integration_id: str, *, cursor: str | None, limit: int) -> Said:
    after = _after(cursor) if cursor else None
    async with db.transaction(workspace) as tx:
        rows = await feedback.page(tx, integration_id, after, limit + 1)
        counts = await feedback.counts(tx, integration_id)
    return Said(rows=rows[:limit], counts=counts, next_cursor=following(rows, limit, "recorded_at", "id"))


def _after(cursor: str) -> tuple[datetime, str]:
    at, feedback_id = decode_cursor(cursor, tuple[datetime, str])
    return in_utc(at, "/cursor"), feedback_id


async def forget_source(tx: Transaction, workspace: str, source_id: str) -> None:
    """Part of the transaction in which the source leaves."""
    integration_id = await feedback.integration_of(tx, source_id)
    if integration_id is None:
        return
    await feedback.lock_counts(tx, workspace, integration_id)
    gone = await feedback.forget_source(tx, source_id)
    counts = await feedback.recount(tx, integration_id, [], gone)
    await tx.emit(_recorded(workspace, integration_id, source_id, counts))


def _recorded(workspace: str, integration_id: str, source_id: str, counts: Counts) -> FeedbackRecorded:
    return FeedbackRecorded(
        workspace_id=workspace, integration_id=integration_id, source_id=source_id, **msgspec.structs.asdict(counts)
    )
