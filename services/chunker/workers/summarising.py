"""The summariser: claims trees in which something changed and makes their stale nodes anew."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.database.engine import Database
from libs.common.errors import LeaseLost, PassingFailure
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.tracing import span
from services.chunker.domain.summaries import WantedTree
from services.chunker.repository.summaries import wanted
from services.chunker.use_cases import summaries
from services.chunker.use_cases.summaries import Writer

_made = counter("chunker_summaries_total", "Summaries made by the summariser", ["level"])
log = get_logger(__name__)


@dataclass(frozen=True)
class Summariser:
    """One step makes one tree; a killed summariser's tree is another's when its lease ends."""

    db: Database
    writer: Writer
    lease_s: float = summaries.LEASE_S

    async def step(self) -> bool:
        async with self.db.queue() as tx:
            claimed = await wanted.claim(tx, 1, self.lease_s)
        for tree in claimed:
            with span("chunker.summarise"):
                await self._rebuild(tree)
        return bool(claimed)

    async def _rebuild(self, tree: WantedTree) -> None:
        try:
            made = await summaries.rebuild(self.db, tree, self.writer)
            _made.labels(tree.level).inc(made)
        except LeaseLost:
            log.info("summaries_taken_over")
        except PassingFailure as error:
            log.warning("summaries_postponed", code=error.code)
            await summaries.postpone(self.db, tree)
