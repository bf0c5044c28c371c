"""Runs over HTTP: start, join, follow, cancel, look back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from libs.common.http.wire import Page, decode_cursor, following
from libs.common.security.principals import Principal
from services.sync.api.wire import RunsWire, RunWire, SyncBody, report_wire, run_wire, runs_wire
from services.sync.deps import Deps
from services.sync.use_cases import asking
from services.sync.use_cases.asking import RunReport

READ = "sync:read"
WRITE = "sync:write"
LOOK_EVERY = 0.25
KEEP_ALIVE_LOOKS = 60
EVENT_ID = re.compile(r"[0-9]{1,18}")

Limit = Annotated[int, QueryParameter(ge=1, le=200)]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]


@post("/v1/integrations/{integration:str}/sync", tags=["sync"], status_code=202)
async def sync_integration(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    data: JSONBody[SyncBody | None] = None,
) -> RunWire:
    """Starts a run and returns at once; a request during a run joins it, and what it has read is looked at once more.

    `full` asks for a sweep: everything is listed whole, and what is gone goes.
    A paused integration (`integration_paused`), a lost grant (`grant_lost`) and features that sync nothing
    (`nothing_chosen`) are 409. Pause and resume are heard of within a second: a run that was asked for in it, or before
    the pause, is `paused` and goes on after the resume.
    """
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    full = data is not None and data.full
    return report_wire(await asking.sync_integration(integration, deps=deps, workspace=workspace, full=full))


@post("/v1/workspaces/{workspace:str}/sync", tags=["sync"], status_code=202)
async def sync_workspace(
    workspace: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> RunsWire:
    """One run for each integration of the workspace that can be synced; 409 when none can."""
    principal.require(WRITE)
    principal.require_workspace(workspace)
    return runs_wire(await asking.sync_workspace(deps=deps, workspace=workspace))


@get("/v1/sync-runs/{run:str}", tags=["sync"])
async def read_run(run: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]) -> RunWire:
    """Counts, an estimate of its progress, and the state of each of its resources."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "run", run)
    return report_wire(await asking.read_run(run, deps=deps, workspace=workspace))


@get("/v1/sync-runs/{run:str}/events", tags=["sync"])
async def follow_run(
    run: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    last_event_id: LastEventId = None,
) -> ServerSentEvent:
    """Events `progress`, then `done` or `failed`; the id is the report's revision, so Last-Event-ID resumes.

    Where too many follow already (`too_many_followers`, 503) the run itself can be read.
    """
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "run", run)
    deps.run_followers.require_place()
    return ServerSentEvent(_events(deps, workspace, run, seen_before(last_event_id)))


def seen_before(last_event_id: str | None) -> int:
    """The revision of a report; -1 for a reader that has seen none, or names what was never an id of ours."""
    return int(last_event_id) if last_event_id and EVENT_ID.fullmatch(last_event_id) else -1


async def _events(deps: Deps, workspace: str, run: str, seen: int) -> AsyncIterator[ServerSentEventMessage]:
    """Counted from its first event on: a reader that left before then has no end to be seen."""
    with deps.run_followers.one_more():
        async for message in _told(deps, workspace, run, seen):
            yield message


async def _told(deps: Deps, workspace: str, run: str, seen: int) -> AsyncIterator[ServerSentEventMessage]:
    """The end is told on every connection, also to a reader that has seen it: then it knows that it may close."""
    quiet = 0
    while True:
        report = await asking.read_run(run, deps=deps, workspace=workspace)
        revision = report.run["progress"]
        if report.final:
            yield _message("done" if report.run["state"] == "succeeded" else "failed", report)
            return
        quiet += 1
        if revision > seen:
            yield _message("progress", report)
            seen, quiet = revision, 0
        elif quiet >= KEEP_ALIVE_LOOKS:
            yield ServerSentEventMessage(comment="still running")
            quiet = 0
        await asyncio.sleep(LOOK_EVERY)


def _message(event: str, report: RunReport) -> ServerSentEventMessage:
    data = msgspec.json.encode(report_wire(report)).decode()
    return ServerSentEventMessage(event=event, id=str(report.run["progress"]), data=data)


@post("/v1/sync-runs/{run:str}/cancel", tags=["sync"], status_code=200)
async def cancel_run(run: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]) -> RunWire:
    """What is committed stays; the rest of the run is given up."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "run", run)
    return report_wire(await asking.stop_run(run, deps=deps, workspace=workspace))


@get("/v1/integrations/{integration:str}/sync-runs", tags=["sync"])
async def list_runs(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    limit: Limit = 20,
) -> Page[RunWire]:
    """Newest first."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    before = decode_cursor(cursor, str) if cursor else None
    rows = await asking.list_runs(integration, deps=deps, workspace=workspace, before=before, limit=limit + 1)
    return Page(items=[run_wire(row) for row in rows[:limit]], next_cursor=following(rows, limit, "id"))
