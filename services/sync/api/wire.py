"""The JSON of this service's answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.database.transaction import Row
from libs.common.events.source import Cause, SourceStatus, SourceType
from libs.common.http.wire import Wire
from libs.common.provider.sync import Resource
from services.sync.api.freshness import FreshnessSummaryWire, FreshnessWire, freshness_wire
from services.sync.domain.estimate import Pace, progress, seconds_left
from services.sync.use_cases.asking import RunReport, RunsAsked
from services.sync.use_cases.picking import Choice

RunState = Literal["queued", "running", "parked", "succeeded", "failed", "cancelled"]
ResourceState = Literal["idle", "syncing", "parked", "waiting", "error"]


class CountsWire(Wire):
    """`waits`: how often it was parked or backed off, and for how long altogether."""

    fetched: int
    created: int
    updated: int
    deleted: int
    unchanged: int
    quarantined: int
    requests: int
    not_modified: int
    bytes: int
    pages: int
    waits: int
    waited_seconds: float


class RunErrorWire(Wire):
    code: str
    detail: str


class RunResourceWire(Wire):
    id: str
    name: str | None
    state: RunState
    stream: str
    attempts: int
    parked_until: datetime | None
    error: RunErrorWire | None
    counts: CountsWire


class RunWire(Wire):
    """`parked`: everything that is left of it waits for a provider's reset, until `parkedUntil`.

    `paused`: the integration is, and the run goes on when it is resumed. `progress` is a share of 0 to 1, an estimate
    until the run has ended; `remaining` items and `secondsLeft` at the pace so far; each None while nobody knows.
    """

    id: str
    workspace_id: str
    integration_id: str
    cause: Cause
    state: RunState
    discovering: bool
    paused: bool
    parked_until: datetime | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: RunErrorWire | None
    counts: CountsWire
    resource_count: int
    resources_done: int
    progress: float | None
    remaining: int | None
    seconds_left: float | None
    resources: list[RunResourceWire] | None = None


class LeftOutWire(Wire):
    integration_id: str
    code: str
    detail: str


class SyncBody(Wire):
    """`full`: list everything whole and let go of what is gone (a sweep), not only what changed."""

    full: bool = False


class RunsWire(Wire):
    """`leftOut`: integrations of the workspace that no run was started for, and why."""

    runs: list[RunWire]
    left_out: list[LeftOutWire]


class ResourceWire(Wire):
    """`id` is there once it is or was selected; `since` is the window of its backfill."""

    external_id: str
    kind: str
    name: str
    url: str
    selected: bool
    id: str | None = None
    state: ResourceState | None = None
    error: RunErrorWire | None = None
    error_count: int | None = None
    since: datetime | None = None
    parked_until: datetime | None = None
    last_active_at: datetime | None = None
    last_polled_at: datetime | None = None
    last_complete_at: datetime | None = None
    next_poll_at: datetime | None = None
    next_sweep_at: datetime | None = None
    poll_every_seconds: int | None = None
    poll_reason: str | None = None
    freshness: FreshnessWire | None = None


class ResourcesWire(Wire):
    """`items`: what could be synced, page by page; `selected`: everything that is, and the worst of its freshness."""

    items: list[ResourceWire]
    selected: list[ResourceWire]
    freshness: FreshnessSummaryWire
    next_cursor: str | None = None


class ChoiceBody(Wire):
    """`since` bounds the backfill of this resource: an ISO date or date-time; null for all of it."""

    reference: str
    since: str | UnsetType | None = UNSET


class SelectionBody(Wire):
    """External ids, or references as the provider's picker reads them (a name with its owner, a URL).

    `since` holds for all that do not say their own; left out, each keeps what it has, and a new one has that of the
    integration's config.
    """

    selected: list[str | ChoiceBody]
    since: str | UnsetType | None = UNSET

    def choices(self) -> list[Choice]:
        return [self._choice(one) for one in self.selected]

    def _choice(self, one: str | ChoiceBody) -> Choice:
        if isinstance(one, str):
            return Choice(reference=one, since=self.since)
        own = one.since is not UNSET
        return Choice(reference=one.reference, since=one.since if own else self.since, own=own)


class SourceWire(Wire):
    id: str
    workspace_id: str
    integration_id: str
    resource_id: str
    provider: str
    external_id: str
    type: SourceType
    name: str
    path: str | None
    url: str
    status: SourceStatus
    status_detail: str | None
    content_type: str
    content_hash: str
    version: int
    author: str
    metadata: dict[str, Any]
    provider_updated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    content: str | None = None


class PushWire(Wire):
    """`forced`: `before` is no ancestor of `after`. `at`: when the move was seen."""

    branch: str
    before: str
    after: str
    forced: bool
    at: datetime


class ChangedFileWire(Wire):
    """Of a pull request `sourceId` is that; of a push, the file, when it is synced.

    `patch` only when it is small: at most 4,000 characters, a larger one is read at the provider.
    """

    source_id: str | None
    resource_id: str
    path: str
    previous_path: str | None
    status: str
    additions: int | None
    deletions: int | None
    blob_id: str | None
    previous_blob_id: str | None
    patch: str | None
    push: PushWire | None = None


class ChangeWire(Wire):
    """`event` is the event as it went to the topic. `seq` and `eventId` are null in a snapshot, whose events have the
    same fields but those that a row does not keep: `cause`, `previous_path`, `changed_paths`."""

    seq: int | None
    event_id: str | None
    topic: str
    occurred_at: datetime
    event: msgspec.Raw


class ChangesWire(Wire):
    """`nextCursor` is always there. `hasMore` true: ask again with it at once; false: nothing else is there by now.

    `snapshot`: these are the sources as they are, not the log; its last page's cursor goes on with the log.
    """

    items: list[ChangeWire]
    next_cursor: str
    has_more: bool
    snapshot: bool


def run_wire(row: Row, resources: Sequence[Row] | None = None) -> RunWire:
    ended, pace = row["finished_at"] is not None, _pace(row)
    return RunWire(
        id=row["id"], workspace_id=row["workspace_id"], integration_id=row["integration_id"], cause=row["cause"],
        state=row["state"], discovering=row["discovering"], paused=row["paused"], parked_until=row["parked_until"],
        requested_at=row["requested_at"],
        started_at=row["started_at"], finished_at=row["finished_at"], error=_error(row), counts=_counts(row),
        resource_count=row["resources"], resources_done=pace.done, progress=1.0 if ended else progress(pace),
        remaining=None if ended else pace.remaining,
        seconds_left=None if ended else seconds_left(pace, datetime.now(UTC)),
        resources=None if resources is None else [_run_resource(one) for one in resources],
    )  # fmt: skip


def report_wire(report: RunReport) -> RunWire:
    return run_wire(report.run, report.resources)


def runs_wire(asked: RunsAsked) -> RunsWire:
    left = [LeftOutWire(integration_id=one, code=why.code, detail=why.detail) for one, why in asked.left_out.items()]
    return RunsWire(runs=[report_wire(one) for one in asked.started], left_out=left)


def _pace(row: Row) -> Pace:
    told = {name: row[name] for name in Pace.__struct_fields__ if name != "done"}
    return Pace(**told, done=row["succeeded"] + row["failed"])


def _counts(row: Row) -> CountsWire:
    counts = {name: row[name] for name in CountsWire.__struct_fields__}
    return CountsWire(**counts | {"waited_seconds": round(row["waited_seconds"], 3)})


def _error(row: Row) -> RunErrorWire | None:
    return RunErrorWire(code=row["error_code"], detail=row["error"] or "") if row["error_code"] else None


def _run_resource(row: Row) -> RunResourceWire:
    return RunResourceWire(
        id=row["resource_id"], name=row["name"], state=row["state"], stream=row["stream"], attempts=row["attempts"],
        parked_until=row["parked_until"], error=_error(row), counts=_counts(row),
    )  # fmt: skip


def selected_wire(row: Row) -> ResourceWire:
    return ResourceWire(
        external_id=row["external_id"], kind=row["kind"], name=row["name"], url=row["url"], selected=True, id=row["id"],
        state=row["state"], error=_error(row), error_count=row["error_count"], since=row["since"],
        parked_until=row["parked_until"], last_polled_at=row["last_polled_at"],
        last_complete_at=row["last_complete_at"],
        next_poll_at=row["next_poll_at"], next_sweep_at=row["next_sweep_at"],
        poll_every_seconds=row["poll_every_seconds"], poll_reason=row["poll_reason"], freshness=freshness_wire(row),
    )  # fmt: skip


def found_wire(resource: Resource, selected: dict[str, Row]) -> ResourceWire:
    row = selected.get(resource.external_id)
    if row is not None:
        return msgspec.structs.replace(selected_wire(row), last_active_at=resource.last_active_at)
    return ResourceWire(
        external_id=resource.external_id, kind=resource.kind, name=resource.name, url=resource.url, selected=False,
        last_active_at=resource.last_active_at,
    )  # fmt: skip


def source_wire(row: Row, content: str | None = None) -> SourceWire:
    return SourceWire(
        id=row["id"], workspace_id=row["workspace_id"], integration_id=row["integration_id"],
        resource_id=row["resource_id"], provider=row["provider"], external_id=row["external_key"], type=row["type"],
        name=row["name"], path=row["path"], url=row["url"], status=row["status"], status_detail=row["status_detail"],
        content_type=row["content_type"], content_hash=row["content_hash"], version=row["version"],
        author=row["author"], metadata=row["metadata"], provider_updated_at=row["provider_updated_at"],
        created_at=row["created_at"], updated_at=row["updated_at"], content=content,
    )  # fmt: skip


def changed_file_wire(row: Row) -> ChangedFileWire:
    told = {name: row[name] for name in ChangedFileWire.__struct_fields__ if name != "push"}
    push = PushWire(**{name: row[name] for name in PushWire.__struct_fields__}) if row["push_id"] else None
    return ChangedFileWire(**told, push=push)
