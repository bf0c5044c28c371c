"""Ids that sort by time, so that new rows land at the end of an index."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A UUIDv7 (RFC 9562 section 5.7) as text."""
    return str(uuid_utils.uuid7())
