"""The window of a backfill: `since`, one setting that means the same for every provider that can be bounded by time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from libs.common.errors import InvalidInput
from libs.common.provider.manifest import Manifest

SINCE = "since"


def read_since(value: object, manifest: Manifest, *, now: datetime, pointer: str) -> datetime | None:
    """An ISO date or date-time, UTC unless it says otherwise; None for none. Raises InvalidInput."""
    if value is None:
        return None
    if not manifest.windowed:
        raise InvalidInput(f"{manifest.name} is always read whole: nothing in it is bounded by a date", pointer=pointer)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        found = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise InvalidInput("since is an ISO date or date-time such as 2026-01-31", pointer=pointer)
    if found > now:
        raise InvalidInput("since lies in the future: nothing would be read", pointer=pointer)
    return found


def since_of(config: Mapping[str, Any]) -> datetime | None:
    """Of a config that was checked."""
    value = config.get(SINCE)
    return datetime.fromisoformat(value) if value else None
