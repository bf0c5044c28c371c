"""The JSON of sweeps and held deletions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.database.transaction import Row
from libs.common.events.source import Cause, SourceType
from libs.common.http.wire import Wire


class CertificateWire(Wire):
    """`complete` is what lets anything go: no failing item, and every page read to the end."""

    scopes: list[str]
    pages: int
    items: int
    errors: int
    chain_closed: bool
    complete: bool


class SweepWire(Wire):
    """`state`: running, certified, held, incomplete (proves nothing) or interrupted. `of`: live sources there."""

    id: str
    integration_id: str
    resource_id: str
    resource_name: str | None
    stream: str
    cause: Cause
    state: str
    certificate: CertificateWire
    missing: int
    of: int
    deleted: int
    restored: int
    restorable: bool
    held_deletion_id: str | None
    started_at: datetime
    finished_at: datetime | None


class HeldDeletionWire(Wire):
    """`state`: held, applied, rejected or superseded. `count` when it was held, `remaining` now: what is seen again is
    taken off."""

    id: str
    integration_id: str
    resource_id: str
    resource_name: str | None
    stream: str
    sweep_id: str
    reason: str
    certificate: CertificateWire
    count: int
    remaining: int
    of: int
    state: str
    deleted: int
    restored: int
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    restored_at: datetime | None


class HeldSourceWire(Wire):
    id: str
    name: str
    external_id: str
    type: SourceType
    path: str | None
    url: str
    last_changed_at: datetime


class HeldPreviewWire(Wire):
    held: HeldDeletionWire
    items: list[HeldSourceWire]
    next_cursor: str | None


class RestoredWire(Wire):
    restored: int


def sweep_wire(row: Row) -> SweepWire:
    given = ("id", "integration_id", "resource_id", "resource_name", "stream", "cause", "state", "missing", "of",
             "deleted", "restored", "restorable", "started_at", "finished_at")  # fmt: skip
    certificate = _certificate(row, complete=row["state"] in ("certified", "held"))
    return SweepWire(**{name: row[name] for name in given}, certificate=certificate, held_deletion_id=row["held_id"])


def held_wire(row: Row) -> HeldDeletionWire:
    given = [name for name in HeldDeletionWire.__struct_fields__ if name != "certificate"]
    told: dict[str, Any] = row["certificate"]
    scopes = [*told["scopes"], *told["part_scopes"]]
    certificate = _certificate({**told, "scopes": scopes}, complete=True)
    return HeldDeletionWire(**{name: row[name] for name in given}, certificate=certificate)


def preview_wire(held: Row, rows: Sequence[Row], following: str | None) -> HeldPreviewWire:
    return HeldPreviewWire(held=held_wire(held), items=[_source(row) for row in rows], next_cursor=following)


def _source(row: Row) -> HeldSourceWire:
    return HeldSourceWire(
        id=row["id"], name=row["name"], external_id=row["external_key"], type=row["type"], path=row["path"],
        url=row["url"], last_changed_at=row["updated_at"],
    )  # fmt: skip


def _certificate(told: Any, *, complete: bool) -> CertificateWire:
    given = ("scopes", "pages", "items", "errors", "chain_closed")
    return CertificateWire(**{name: told[name] for name in given}, complete=complete)
