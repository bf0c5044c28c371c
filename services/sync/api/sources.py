"""The synced data over HTTP: sources and changed files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from libs.common.database.transaction import Row
from libs.common.events.source import SourceStatus, SourceType
from libs.common.http.wire import Ordinal, Page, decode_cursor, following, in_utc
from libs.common.provider.sync import FileStatus
from libs.common.security.principals import Principal
from services.sync.api.wire import (
    ChangedFileWire,
    SourceWire,
    changed_file_wire,
    source_wire,
)
from services.sync.deps import Deps
from services.sync.repository.catalogue import Filter
from services.sync.repository.changed_files import Narrowed
from services.sync.use_cases import asking, reading

READ = "sources:read"

Limit = Annotated[int, QueryParameter(ge=1, le=500)]
Path = Annotated[str, QueryParameter(min_length=1, max_length=4096)]


@get("/v1/workspaces/{workspace:str}/sources", tags=["sources"])
async def list_sources(
    workspace: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    type: FromQuery[SourceType | None] = None,
    integration: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    status: FromQuery[SourceStatus | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> Page[SourceWire]:
    """Without their content. Deleted ones only when `status=deleted` asks for them."""
    principal.require(READ)
    principal.require_workspace(workspace)
    wanted = Filter(type=type, integration=integration, resource=resource, status=status)
    after = decode_cursor(cursor, str) if cursor else ""
    rows = await reading.list_sources(deps=deps, workspace=workspace, wanted=wanted, after=after, limit=limit + 1)
    return Page(items=[source_wire(row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))


@get("/v1/sources/{source:str}", tags=["sources"])
async def read_source(
    source: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> SourceWire:
    """With its content."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "source", source)
    row = await reading.read_source(source, deps=deps, workspace=workspace)
    return source_wire(row, content=row["content"])


@get("/v1/sources/{source:str}/changed-files", tags=["sources"])
async def list_changed_files_of_source(
    source: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    status: FromQuery[FileStatus | None] = None,
    since: FromQuery[datetime | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 100,
) -> Page[ChangedFileWire]:
    """The paths of a pull request in the provider's order; the history of a file; every push of a repository.

    The newest push comes first. `since`: pushes seen since then, pull requests that changed since then.
    """
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "source", source)
    rows = await reading.changed_files_of_source(
        source,
        Narrowed(status=status, since=since and in_utc(since, "/since")),
        deps=deps,
        workspace=workspace,
        after=_after(cursor),
        limit=limit + 1,
    )
    return _changed_files(rows, limit)


@get("/v1/workspaces/{workspace:str}/changed-files", tags=["sources"])
async def list_changed_files(
    workspace: FromPath[str],
    path: Path,
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    integration: FromQuery[str | None] = None,
    resource: FromQuery[str | None] = None,
    status: FromQuery[FileStatus | None] = None,
    since: FromQuery[datetime | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 100,
) -> Page[ChangedFileWire]:
    """Which pull requests and pushes changed one path, be it the new or the old one; the newest first."""
    principal.require(READ)
    principal.require_workspace(workspace)
    narrowed = Narrowed(
        integration=integration, resource=resource, status=status, since=since and in_utc(since, "/since")
    )
    rows = await reading.changed_files_of_path(
        path, narrowed, deps=deps, workspace=workspace, after=_after(cursor), limit=limit + 1
    )
    return _changed_files(rows, limit)


def _after(cursor: str | None) -> tuple[str, int]:
    return decode_cursor(cursor, tuple[str, Ordinal]) if cursor else ("", -1)


def _changed_files(rows: Sequence[Row], limit: int) -> Page[ChangedFileWire]:
    return Page(
        items=[changed_file_wire(row) for row in rows[:limit]],
        next_cursor=following(rows, limit, "owner", "position"),
    )
