"""The scheduler: claims what is due across workspaces, and asks for one run of each integration."""

from __future__ import annotations

from datetime import timedelta
from random import sample

from libs.common.database.engine import Database
from services.sync.deps import Deps
from services.sync.repository import schedules
from services.sync.repository.schedules import BEGINNING, Due
from services.sync.use_cases.scheduling import ask_due

MOST = 500
OF_A_LANE = 64  # of each lane while others are due too: one workspace with very much does not hold the rest up
LEASE = timedelta(minutes=2)  # a round of claims is asked for well within it


class Claims:
    """Remembers where each lane begins, so that rows which were claimed cost nothing more."""

    def __init__(self, db: Database, lease: timedelta = LEASE) -> None:
        self._db, self._lease = db, lease
        self._heads = list(BEGINNING)
        self._block = 0

    async def next(self) -> list[Due]:
        """At most `MOST`, moved on for the lease: whoever dies with them loses nothing."""
        async with self._db.queue() as tx:
            found, self._block = await schedules.look(tx, self._heads, self._block)
            for lane in found:
                self._heads[lane.number] = lane.head
            waiting = [lane for lane in found if lane.due]
            if not waiting:
                return []
            each = max(OF_A_LANE, MOST // len(waiting))
            return await schedules.claim(tx, sample(waiting, len(waiting)), most=MOST, each=each, lease=self._lease)


class Scheduler:
    """Only what is planned has a time to come due."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._claims = Claims(deps.db)

    async def step(self) -> bool:
        due = await self._claims.next()
        for integration_id, workspace in dict.fromkeys((one.integration_id, one.workspace_id) for one in due):
            async with self._deps.db.transaction(workspace) as tx:
                asked = await ask_due(tx, integration_id, self._deps.manifest_of)
            if asked:
                self._deps.wakes.work.set()
        return bool(due)
