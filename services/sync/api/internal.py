"""The one internal route of sync; the edge lets service tokens alone in."""

from __future__ import annotations

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from libs.common.internal import SOURCE_BATCH_PATH, SourceBatch, SourceBatchAsked
from services.sync.deps import Deps
from services.sync.use_cases import reading


@post(SOURCE_BATCH_PATH, status_code=200, include_in_schema=False)
async def read_batch(data: JSONBody[SourceBatchAsked], deps: NamedDependency[Deps]) -> SourceBatch:
    return await reading.read_batch(data, deps=deps)
