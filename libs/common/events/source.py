"""Facts about synced things and their index; the one list of source types."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from libs.common.events.event import Event

SourceType = Literal[
    "repository",
    "issue",
    "pull_request",
    "merge_request",
    "file",
    "project",
    "thread",
    "message_day",
    "document",
    "sheet",
    "slide_deck",
    "page",
]
SourceStatus = Literal["pending", "processing", "ready", "failed", "deleted"]
Change = Literal["created", "updated", "deleted", "renamed"]
Cause = Literal["poll", "webhook", "manual", "sweep"]


class ResourceSelected(Event, frozen=True, kw_only=True):
    """A repository, project, channel, folder or site is synced; told again when its name or address changes."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    resource_id: str
    provider: str
    kind: str
    external_id: str
    name: str
    url: str = ""
    version: int


class ResourceDeselected(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    resource_id: str
    provider: str
    kind: str
    external_id: str
    version: int


class SourceChanged(Event, frozen=True, kw_only=True, gc=False):
    """Which source, which version, why; the reader fetches the content from its owner."""

    key_field: ClassVar[str] = "source_id"
    source_id: str
    integration_id: str
    resource_id: str
    provider: str
    type: SourceType
    change: Change
    version: int
    content_hash: str
    url: str = ""
    previous_path: str | None = None
    occurred_at: datetime
    cause: Cause
    changed_paths: int | None = None


class SourceIndexed(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "source_id"
    source_id: str
    integration_id: str
    version: int
    chunks: int
    deleted: bool = False


class SourceIndexFailed(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "source_id"
    source_id: str
    integration_id: str
    version: int
    code: str
    detail: str


class FeedbackRecorded(Event, frozen=True, kw_only=True):
    """Absolute counts of the integration after this signal, never deltas."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    source_id: str
    version: int
    helpful: int
    unhelpful: int
    outdated: int
    incorrect: int
