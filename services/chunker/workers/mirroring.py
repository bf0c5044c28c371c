"""The mirror's loop: an engine beside Postgres is told of each source that changed, a batch at a time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libs.common.database.engine import Database
from libs.common.errors import DependencyDown
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter, gauge
from libs.common.testing.crashpoints import crashpoint
from services.chunker.domain.indexing import retry_seconds
from services.chunker.domain.mirroring import LEASE_S, Document, Mirror, MirrorWanted
from services.chunker.use_cases import mirroring

if TYPE_CHECKING:
    from services.chunker.index.opensearch.engine import Engine

LOOKED_S = 5.0  # between two looks whether the engine still holds its mirror
_told = counter("chunker_mirrored_sources_total", "Sources that the search engine was told of", ["outcome"])
_waiting = gauge("chunker_mirror_waiting_sources", "Changed sources that the search engine has yet to be told of")
_oldest = gauge("chunker_mirror_oldest_seconds", "Seconds that the oldest of them waits")
_whole = gauge("chunker_mirror_whole", "1 when searches are answered by the engine, 0 while Postgres answers them")
log = get_logger(__name__)


@dataclass
class MirrorWorker:
    """`wanted`: whether the settings ask for the engine; if not, what it holds of us is dropped.

    A killed worker's sources are told again when its lease ends; telling twice changes nothing.
    """

    db: Database
    engine: Engine
    wanted: bool = True
    batch: int = 20
    lease_s: float = LEASE_S
    looked_s: float = LOOKED_S
    _looked_at: float = float("-inf")
    _settled: bool = False
    _taken: dict[str, frozenset[int]] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def step(self) -> bool:
        try:
            living = await self._look()
            worked = await self._work(living)
        except DependencyDown as error:
            log.warning("mirror_postponed", code=error.code, reason=error.detail)
            return False
        await self._show()
        return worked

    async def _look(self) -> Mirror | None:
        """An engine that lost its mirror begins another one, and Postgres answers until that one is whole."""
        async with self._looking:
            living = await mirroring.living_mirror(self.db)
            if time.monotonic() - self._looked_at < self.looked_s:
                return living
            living = await self._decide(living)
            for ended in await mirroring.ended_mirrors(self.db):
                await self.engine.drop(ended.id)
                await mirroring.forget_mirror(self.db, ended)
                log.info("mirror_dropped")
            self._looked_at = time.monotonic()
            return living

    async def _decide(self, living: Mirror | None) -> Mirror | None:
        """At the start alone it is the settings that decide: of two replicas the later one."""
        if not self.wanted:
            if living and not self._settled:
                await mirroring.end_mirror(self.db)
            self._settled = True
            return None
        lost = living is not None and not await self.engine.exists(living.id)
        if lost or (living is None and not self._settled):
            living = await mirroring.begin_mirror(self.db)
            await self.engine.make(living.id)
            log.info("mirror_begun")
        self._settled = True
        return living

    async def _work(self, living: Mirror | None) -> bool:
        claimed = await mirroring.claim(self.db, self.batch, self.lease_s)
        crashpoint("mirror.claimed")
        by_workspace: dict[str, list[MirrorWanted]] = defaultdict(list)
        for one in claimed:
            by_workspace[one.workspace_id].append(one)
        for group in by_workspace.values():
            await self._tell_group(living, group)
        if living is not None and living.state == "filling":
            await self._switch(living)
        return bool(claimed)

    async def _tell_group(self, living: Mirror | None, group: Sequence[MirrorWanted]) -> None:
        try:
            for one in group:
                if one.erase:
                    await self._erase(living, one)
            if living is not None and (sources := [one for one in group if not one.erase]):
                await self._tell(living, sources)
        except DependencyDown as error:
            log.warning("sources_not_mirrored", code=error.code, reason=error.detail, count=len(group))
            _told.labels("postponed").inc(len(group))
            await mirroring.postpone(self.db, group, retry_seconds(max(one.attempts for one in group)))

    async def _tell(self, living: Mirror, sources: Sequence[MirrorWanted]) -> None:
        intended = await mirroring.intend(self.db, sources, self.lease_s)
        if intended is None:
            return
        crashpoint("mirror.intended")
        await self._take_vectors(living, intended.told.documents)
        async with asyncio.timeout(self.lease_s):
            await self.engine.tell(living.id, intended.told)
        crashpoint("mirror.told")
        await mirroring.settle(self.db, intended)
        crashpoint("mirror.settled")
        _told.labels("told").inc(len(intended.wanted))

    async def _take_vectors(self, living: Mirror, documents: Sequence[Document]) -> None:
        """A new generation has its field before its first vector comes."""
        if {generation for one in documents for generation in one.vectors} - self._taken.get(living.id, frozenset()):
            dimensions = await mirroring.dimensions(self.db)
            await self.engine.take_vectors(living.id, dimensions)
            self._taken = {living.id: frozenset(dimensions)}

    async def _erase(self, living: Mirror | None, wanted: MirrorWanted) -> None:
        """What another engine held of it goes with that mirror."""
        if living is not None:
            await self.engine.erase(living.id, wanted.workspace_id, wanted.version)
        await mirroring.settle_erased(self.db, wanted)

    async def _switch(self, living: Mirror) -> None:
        if await mirroring.is_filled(self.db):
            await self.engine.refresh(living.id)
            if await mirroring.switch_when_whole(self.db, living):
                log.info("mirror_whole")

    async def _show(self) -> None:
        living = await mirroring.living_mirror(self.db)
        waiting, oldest_s = await mirroring.backlog(self.db)
        _waiting.set(waiting)
        _oldest.set(oldest_s)
        _whole.set(living is not None and living.state == "whole")
