"""Facts about runs, and the state that auth shows of an integration."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from libs.common.events.event import Event
from libs.common.events.source import Cause


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`waits`: how often it was parked or backed off, and for how long altogether."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    quarantined: int = 0
    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    pages: int = 0
    waits: int = 0
    waited_seconds: float = 0.0


class SyncStarted(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    run_id: str
    cause: Cause
    started_at: datetime


class SyncCompleted(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    run_id: str
    cause: Cause
    counts: RunCounts
    finished_at: datetime


class SyncFailed(Event, frozen=True, kw_only=True):
    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    run_id: str
    cause: Cause
    counts: RunCounts
    code: str
    detail: str
    finished_at: datetime


class SyncStateChanged(Event, frozen=True, kw_only=True):
    """Observed state in absolute values with a version; nothing is emitted because of it."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    version: int
    last_polled_at: datetime | None
    next_poll_at: datetime | None
    change_count: int
    error_count: int
    last_error: str | None
    last_error_code: str | None = None
