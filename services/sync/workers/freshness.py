"""Gauges of how many resources are fresher than promised: by provider, never by resource."""

from __future__ import annotations

from libs.common.telemetry.metrics import gauge
from services.sync.deps import Deps
from services.sync.repository import schedules

COUNT_EVERY = 30.0
_watched = gauge("sync_resources", "Selected resources", ["provider"])
_late = gauge("sync_resources_late", "Resources whose copy is older than promised", ["provider"])
_deaf = gauge("sync_resources_deaf", "Resources at which polls find changes that no hook told", ["provider"])


class FreshnessGauges:
    """Every replica counts the whole table: take the greatest of them, never the sum."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._known: set[str] = set()

    async def step(self) -> bool:
        async with self._deps.db.queue() as tx:
            counted = {row["provider"]: row for row in await schedules.count_watched(tx)}
        for provider in self._known | counted.keys():
            row = counted.get(provider)
            _watched.labels(provider).set(row["resources"] if row else 0)
            _late.labels(provider).set(row["late"] if row else 0)
            _deaf.labels(provider).set(row["deaf"] if row else 0)
        self._known |= counted.keys()
        return False
