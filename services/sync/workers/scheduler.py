"""The scheduler: claims what is due across workspaces, and asks for one run of each integration."""

from __future__ import annotations

from datetime import timedelta
from random import shuffle

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.errors import DependencyDown
from services.sync.deps import Deps
from services.sync.repository import schedules
from services.sync.repository.schedules import BEGINNING, Due, Lane
from services.sync.use_cases.scheduling import ask_due

MOST = 1000
LANES_A_CLAIM = 16
LEASE = timedelta(minutes=2)  # a round of claims is asked for well within it


class Claims:
    """Remembers where each lane begins, so that rows which were claimed cost nothing more. Each lane with something due
    has its turn before any has a second one: a workspace with very much does not hold the rest up."""

    def __init__(self, db: Database, lease: timedelta = LEASE, most: int = MOST) -> None:
        self._db, self._lease, self._most = db, lease, most
        self._heads = list(BEGINNING)
        self._block = 0
        self._waiting: list[Lane] = []

    async def next(self) -> list[Due]:
        """At most `most`, moved on for the lease: whoever dies with them loses nothing."""
        async with self._db.queue() as tx:
            if not self._waiting:
                await self._look(tx)
            while self._waiting:
                turn, self._waiting = self._waiting[:LANES_A_CLAIM], self._waiting[LANES_A_CLAIM:]
                found = await schedules.claim(tx, turn, each=self._most // len(turn), lease=self._lease)
                if found:
                    return found
        return []

    async def _look(self, tx: Transaction) -> None:
        """In an order of its own, so that several schedulers seldom meet."""
        lanes = await schedules.look(tx, self._heads)
        for lane in lanes:
            self._heads[lane.number] = lane.head
        self._waiting = [lane for lane in lanes if lane.due]
        shuffle(self._waiting)

    async def patrol(self) -> None:
        """A slice of the table: what came below a head after all is found in one round of it."""
        async with self._db.queue() as tx:
            earliest, self._block = await schedules.patrol(tx, self._block)
        for lane, at in earliest.items():
            self._heads[lane] = min(self._heads[lane], at)


class Scheduler:
    """Only what is planned has a time to come due."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._claims = Claims(deps.db)

    async def step(self) -> bool:
        """One integration that cannot be asked keeps no other waiting; what went wrong is raised at the end."""
        due = await self._claims.next()
        failures: list[Exception] = []
        for integration_id, workspace in dict.fromkeys((one.integration_id, one.workspace_id) for one in due):
            try:
                await self._ask(integration_id, workspace)
            except DependencyDown:
                raise  # of all that follow, too: they come due again
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("these integrations come due again after the lease", failures)
        return bool(due)

    async def _ask(self, integration_id: str, workspace: str) -> None:
        async with self._deps.db.transaction(workspace) as tx:
            asked = await ask_due(tx, integration_id, self._deps.manifest_of)
        if asked:
            self._deps.wakes.work.set()

    async def patrol(self) -> bool:
        await self._claims.patrol()
        return False
