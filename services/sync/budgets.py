"""Which lane of its budget a piece of work takes."""

from __future__ import annotations

from libs.common.events.source import Cause
from libs.common.limits.rules import Lane


def lane_of(cause: Cause) -> Lane:
    lanes: dict[Cause, Lane] = {"webhook": "hint", "manual": "manual"}
    return lanes.get(cause, "poll")
