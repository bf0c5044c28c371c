"""Taking turns: a resource that had its time gives its worker, between two pages, to a workspace that holds fewer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from services.sync.deps import Deps
from services.sync.repository import turns
from services.sync.repository.leases import Claim


class Turns:
    """Of one replica: how many of its workers each workspace holds. Where every replica is fair, the fleet is."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._held: Counter[str] = Counter()
        self._passing = asyncio.Lock()  # one after the other, so that each sees what the one before it gave away

    @property
    def seconds(self) -> float:
        return self._deps.settings.sync_slice_seconds

    def begin(self, claim: Claim, stop: asyncio.Event) -> Turn:
        self._held[claim.workspace_id] += 1
        return Turn(self, claim, stop)

    def end(self, turn: Turn) -> None:
        """Harmless when it has ended."""
        if not turn.ended:
            turn.ended = True
            self._held[turn.claim.workspace_id] -= 1
            self._held += Counter()  # who holds nothing is forgotten

    async def someone_waits(self, turn: Turn) -> bool:
        async with self._deps.db.queue() as tx:
            return await turns.someone_waits(tx, self._held, turn.claim.workspace_id)

    async def pass_on(self, turn: Turn, stop: asyncio.Event) -> Turn | None:
        """The turn of whoever waits, in place of this one, which has ended; None when nobody waits any more."""
        deps = self._deps
        async with self._passing:
            async with deps.db.queue() as tx:
                claim = await turns.take(tx, self._held, turn.claim.workspace_id, owner=deps.owner, lease=deps.lease)
            if claim is None:
                return None
            self.end(turn)
            return self.begin(claim, stop)


class Turn:
    """One claim's time with a worker. `next` is whose turn it is after this one, claimed already."""

    def __init__(self, turns: Turns, claim: Claim, stop: asyncio.Event) -> None:
        self.claim = claim
        self.ended = False
        self.next: Turn | None = None
        self._turns = turns
        self._stop = stop
        self._until = time.monotonic() + turns.seconds
        self._nearly_over = False

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    async def is_nearly_over(self) -> bool:
        """Asked before a page is committed: then the one after it is not asked for."""
        self._nearly_over = self.is_stopped or (
            time.monotonic() >= self._until and await self._turns.someone_waits(self)
        )
        return self._nearly_over

    async def is_over(self) -> bool:
        """Asked after it: the service stops, or somebody else has this worker now."""
        if self.is_stopped:
            return True
        if self._nearly_over:
            self.next = await self._turns.pass_on(self, self._stop)
        return self.next is not None
