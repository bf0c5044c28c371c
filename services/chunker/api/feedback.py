"""Feedback over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from libs.common.database.engine import Database
from libs.common.errors import InvalidInput
from libs.common.http.wire import Wire
from libs.common.security.principals import Principal
from services.chunker.api.wire import Limit, seen
from services.chunker.domain.feedback import Given, Signal
from services.chunker.use_cases import feedback

GIVE, READ = "feedback:write", "feedback:read"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class FeedbackGiven(Wire):
    """About a chunk or a whole source, as an answer of a search named them.

    One signal a person and target: a later one replaces it. An API key may name the `subject` it acts for.
    """

    signal: Signal
    source_id: Id | None = None
    chunk_id: Id | None = None
    query: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    comment: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    subject: Id | None = None


class FeedbackSaved(Wire):
    id: str


class FeedbackShown(Wire):
    """`chunkId` null: the source as a whole."""

    id: str
    signal: Signal
    source_id: str
    chunk_id: str | None
    query: str
    comment: str
    recorded_at: datetime


class FeedbackCounts(Wire):
    helpful: int
    unhelpful: int
    outdated: int
    incorrect: int


class FeedbackPage(Wire):
    """Newest first; `counts` are of the whole integration."""

    items: list[FeedbackShown]
    counts: FeedbackCounts
    next_cursor: str | None = None


@post("/v1/feedback", status_code=200, operation_id="giveFeedback", tags=["feedback"])
async def give_feedback(
    data: JSONBody[FeedbackGiven], principal: NamedDependency[Principal], db: NamedDependency[Database]
) -> FeedbackSaved:
    """Say of a chunk or a source that it helped, did not help, is outdated, or is wrong."""
    principal.require(GIVE)
    given = Given(
        signal=data.signal,
        subject=_subject(principal, data.subject),
        source_id=data.source_id,
        chunk_id=data.chunk_id,
        query=data.query,
        comment=data.comment,
    )
    workspace = await _workspace_of(db, principal, data)
    return FeedbackSaved(id=await feedback.record_feedback(db, workspace, given))


@get("/v1/integrations/{integration_id:str}/feedback", operation_id="listFeedback", tags=["feedback"])
async def list_feedback(
    integration_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> FeedbackPage:
    """What was said of an integration's answers, newest first, with its counts by signal."""
    principal.require(READ)
    workspace = await db.locate("feedback_count", integration_id)
    workspace = workspace or await db.locate("summary", f"integration:{integration_id}")
    workspace = seen(principal, workspace, "no such integration, or nothing of it is indexed yet")
    said = await feedback.read_feedback(db, workspace, integration_id, cursor=cursor, limit=limit)
    names = ("id", "signal", "source_id", "query", "comment", "recorded_at")
    items = [
        FeedbackShown(chunk_id=row["chunk_id"] or None, **{name: row[name] for name in names}) for row in said.rows
    ]
    counts = FeedbackCounts(**{name: getattr(said.counts, name) for name in FeedbackCounts.__struct_fields__})
    return FeedbackPage(items=items, counts=counts, next_cursor=said.next_cursor)


async def _workspace_of(db: Database, principal: Principal, data: FeedbackGiven) -> str:
    if data.source_id is not None:
        workspace = await db.locate("indexed_source", data.source_id)
    elif data.chunk_id is not None:
        workspace = await db.locate("chunk", data.chunk_id)
    else:
        raise InvalidInput("it names what it is about: chunkId or sourceId", pointer="/sourceId")
    return seen(principal, workspace, feedback.NO_TARGET)


def _subject(principal: Principal, named: str | None) -> str:
    """A client token speaks for its own user alone; the application may name whom it speaks for."""
    if principal.user is not None:
        if named not in (None, principal.user):
            raise InvalidInput("a client token speaks for its own subject only", pointer="/subject")
        return principal.subject
    return principal.subject if named is None else f"client:{named}"
