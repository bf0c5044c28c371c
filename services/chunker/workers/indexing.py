"""The indexer: claims what is wanted, reads the current truth from its owner, swaps it in."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.common.database.engine import Database
from libs.common.errors import PassingFailure, SluiceError
from libs.common.http.client import InternalClient
from libs.common.internal import SOURCE_BATCH_PATH, SourceBatch, SourceBatchAsked, SourceItem
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.tracing import span, use_traceparent
from libs.common.testing.crashpoints import crashpoint
from services.chunker.cutting import FacetOf, cut
from services.chunker.domain.indexing import Cut, Wanted, is_stale, retry_seconds
from services.chunker.repository import queue
from services.chunker.summarising import Written
from services.chunker.use_cases import indexing

LEASE_S = 12.0  # a killed indexer delays its batch by this much; a slow one is fenced by the epoch
_indexed = counter("chunker_sources_total", "Sources handled by the indexer", ["outcome"])
log = get_logger(__name__)


@dataclass(frozen=True)
class Indexer:
    """One step claims a batch; a killed indexer's rows are due again when the lease ends."""

    db: Database
    sync: InternalClient
    facet_of: FacetOf
    budget: int
    batch: int
    lease_s: float = LEASE_S
    better_summaries: bool = False  # an endpoint makes them again
    _claiming: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def step(self) -> bool:
        async with self.db.queue() as tx:
            claimed = await queue.claim(tx, self.batch, self.lease_s)
        crashpoint("chunker.claimed")
        by_workspace: dict[str, list[Wanted]] = defaultdict(list)
        for wanted in claimed:
            by_workspace[wanted.workspace_id].append(wanted)
        for workspace, group in by_workspace.items():
            await self._index(workspace, group)
        return bool(claimed)

    async def _index(self, workspace: str, group: Sequence[Wanted]) -> None:
        """A passing failure of the owner postpones the group; nothing is parked for it."""
        try:
            items = await self._read(workspace, group)
        except PassingFailure as error:
            log.warning("sources_unavailable", code=error.code)
            for wanted in group:
                await indexing.postpone(self.db, wanted, retry_seconds(wanted.attempts))
            return
        held = [wanted for wanted in group if wanted.source_id in items]  # others are due again when their lease ends
        known = await indexing.known_summaries(self.db, held) if held else {}
        for wanted in sorted(held, key=lambda wanted: len(items[wanted.source_id].content)):
            # a large one keeps nobody of its batch waiting
            await self._index_one(wanted, items[wanted.source_id], known[wanted.source_id])

    async def _read(self, workspace: str, group: Sequence[Wanted]) -> dict[str, SourceItem]:
        asked = SourceBatchAsked(workspace_id=workspace, ids=tuple(wanted.source_id for wanted in group))
        answer = await self.sync.post(SOURCE_BATCH_PATH, asked, response_type=SourceBatch)
        left_out = [wanted for wanted in group if wanted.source_id in answer.left_out]
        for wanted in left_out:
            await indexing.postpone(self.db, wanted, 0)
        return {item.id: item for item in answer.items}

    async def _index_one(self, wanted: Wanted, item: SourceItem, known: Mapping[str, Written]) -> None:
        with use_traceparent(wanted.traceparent), span("chunker.index", source_id=wanted.source_id):
            if is_stale(item, wanted):
                await indexing.postpone(self.db, wanted, retry_seconds(wanted.attempts))
            elif item.state != "present":
                await indexing.remove_index(self.db, wanted, item)
                _indexed.labels("removed").inc()
            else:
                await self._cut_and_save(wanted, item, known)

    async def _cut_and_save(self, wanted: Wanted, item: SourceItem, known: Mapping[str, Written]) -> None:
        result = await asyncio.to_thread(_try_cut, item, self.facet_of, self.budget, known)
        if isinstance(result, Cut):
            await indexing.save_index(self.db, wanted, result, better_summaries=self.better_summaries)
            crashpoint("chunker.indexed")
            _indexed.labels("indexed").inc()
            return
        log.error("source_not_cut", code=result.code)
        await indexing.report_failure(self.db, wanted, item.version, result.code, result.detail)
        _indexed.labels("failed").inc()


class CutFailed(SluiceError):
    code = "cut_failed"
    title = "This text could not be cut into chunks"


def _try_cut(item: SourceItem, facet_of: FacetOf, budget: int, known: Mapping[str, Written]) -> Cut | SluiceError:
    """Any failure of a layout or a cutter is this source's alone: it is recorded, and the others go on."""
    try:
        return cut(item, facet_of, budget, known)
    except SluiceError as error:
        return error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        return CutFailed(f"{type(error).__name__} while cutting a {item.type}")
