"""The change feed over HTTP: what became of a workspace, from any point on, for whoever follows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from libs.common.errors import InvalidInput
from libs.common.events.source import Cause, Change, SourceType
from libs.common.http.wire import InvalidCursor, decode_cursor, encode_cursor, in_utc
from libs.common.security.principals import Principal
from services.sync.api.wire import ChangesWire, ChangeWire
from services.sync.deps import Deps
from services.sync.domain.feed import Fact, Filter, Position
from services.sync.use_cases import feed
from services.sync.use_cases.feed import Asked

READ = "sources:read"
BEGINNINGS = ("latest", "oldest")

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Wait = Annotated[float, QueryParameter(ge=0, le=30)]


@get("/v1/workspaces/{workspace:str}/changes", tags=["sources"])
async def list_changes(
    workspace: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    integration: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    provider: FromQuery[str | None] = None,
    type: FromQuery[SourceType | None] = None,
    change: FromQuery[Change | None] = None,
    cause: FromQuery[Cause | None] = None,
    since: FromQuery[datetime | None] = None,
    compact: FromQuery[Literal["latest"] | None] = None,
    wait: Wait = 0,
    limit: Limit = 100,
) -> ChangesWire:
    """The same facts as the topic source.changed, in the order of their commits; resume with the last cursor.

    No cursor begins with the first change there ever was, `oldest` with the oldest that is kept, `latest` with what
    comes from now on. A cursor whose successors are no longer kept is 410 `cursor_expired`. `compact=latest` without a
    cursor tells every source once, as it is now, deleted ones too, and ends with a cursor into the log; with one it
    leaves out what a later change of the same page repeats. Filters keep the cursor: a page may be empty and still
    move on. `wait` holds the answer back for so many seconds until there is something to tell.
    """
    principal.require(READ)
    principal.require_workspace(workspace)
    wanted = Filter(
        integration=integration, resource=resource, provider=provider, type=type, change=change, cause=cause,
        since=since and in_utc(since, "/since"),
    )  # fmt: skip
    if compact and (change or cause):
        raise InvalidInput("a compaction tells the latest change of each source, whatever it was", pointer="/compact")
    begin = cursor if cursor in BEGINNINGS else ""
    position = _position(cursor, workspace) if cursor and not begin else None
    asked = Asked(
        wanted=wanted, limit=limit, wait=wait, compact=compact is not None, position=position, begin=begin or ""
    )
    found = await feed.read_changes(asked, deps=deps, workspace=workspace)
    return ChangesWire(
        items=[_wire(one) for one in found.facts], next_cursor=encode_cursor(found.position), has_more=found.more,
        snapshot=found.snapshot,
    )  # fmt: skip


def _position(cursor: str, workspace: str) -> Position:
    """A cursor belongs to its workspace: of another one it is as good as none."""
    found = decode_cursor(cursor, Position)
    if found.workspace != workspace:
        raise InvalidCursor(pointer="/cursor")
    return found


def _wire(fact: Fact) -> ChangeWire:
    return ChangeWire(
        seq=fact.seq, event_id=fact.event_id, topic=fact.topic, occurred_at=fact.occurred_at, event=fact.event
    )
