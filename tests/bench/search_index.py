"""When to leave one Postgres: the same searches by Postgres and by OpenSearch, as a workspace grows.

Run by `python -m tests.bench search_index`; with sizes, `python -m tests.bench.search_index 10000 500000`. Texts and
vectors are those of the search bench; the engine is told by the mirror itself, so filling it is measured too.
Milliseconds are of a whole search with its answer as JSON, both rankings, asked in turns. Memory: what each keeps
resident, and the bytes that a chunk has on disk.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from libs.common.database.engine import Database
from libs.common.http.client import OutboundClient
from libs.local.postgres import Postgres
from services.chunker.domain.searching import Filters, Question
from services.chunker.index.choosing import mirrored
from services.chunker.index.opensearch.connection import connect
from services.chunker.index.opensearch.engine import Engine
from services.chunker.index.postgres import PostgresIndex
from services.chunker.use_cases import mirroring
from services.chunker.use_cases.searching import Searcher
from services.chunker.workers.mirroring import MirrorWorker
from tests.bench.search import QUERIES, search_seconds
from tests.bench.search_corpus import standing
from tests.bench.search_rows import LARGE
from tests.support.opensearch import RealOpenSearch, real_opensearch
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_postgres, temporary_state

SIZES = (10_000, 100_000)
WARM = 20
SEED = 11
WORKERS = 2
SPACE = """
SELECT sum(pg_relation_size(c.oid)) FILTER (WHERE c.relname = 'posting_pkey') AS postings,
  sum(pg_relation_size(c.oid)) FILTER (WHERE c.relname LIKE 'chunk_vector_nearest%') AS graph
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'chunker'
"""


def main(sizes: Sequence[int]) -> None:
    for size in sizes:
        with temporary_state() as state, running_postgres(state) as postgres, real_opensearch("1g") as node:
            migrate_schemas(postgres, "chunker")
            asyncio.run(_bench(size, node, postgres))


async def _bench(size: int, node: RealOpenSearch, postgres: Postgres) -> None:
    async with standing(postgres, SEED, {LARGE: size}) as stands:
        outbound = OutboundClient().for_own(node.url)
        engine = Engine(connect(node.url, "", "", outbound))
        await _mirror(size, stands.db, engine)
        queries = stands.queries()
        searchers = {
            "postgres": Searcher(PostgresIndex(stands.db), queries=queries),
            "opensearch": Searcher(mirrored(stands.db, engine), queries=queries),
        }
        for name, filters in (("fused", Filters()), ("filtered", Filters(path="rust/"))):
            await _compare(f"search_index_{size}_{name}", searchers, filters, stands.draw(QUERIES + WARM))
        await _tell_space(size, stands.admin, node, engine, stands.db)
        await outbound.aclose()


async def _mirror(size: int, db: Database, engine: Engine) -> None:
    started = time.monotonic()
    worker = MirrorWorker(db=db, engine=engine)
    await worker.step()

    async def work() -> None:
        while await worker.step():
            pass

    await asyncio.gather(*(work() for _ in range(WORKERS)))
    living = await mirroring.living_mirror(db)
    assert living is not None
    assert living.state == "whole"
    rate = size / (time.monotonic() - started)
    print(f"figure search_index_{size}_mirrored value={rate:.0f} unit=chunks/s against={size}")


async def _compare(figure: str, searchers: dict[str, Searcher], filters: Filters, texts: Sequence[str]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in searchers}
    for n, text in enumerate(texts):
        for name in sorted(searchers, reverse=bool(n % 2)):
            question = Question(query=text, filters=filters)
            seconds[name].append(await search_seconds(searchers[name], LARGE, question))
    for share, quantile in (("p50", 0.5), ("p99", 0.99)):
        ours, anchor = (
            1000 * float(np.quantile(seconds[name][WARM:], quantile)) for name in ("opensearch", "postgres")
        )
        print(f"figure {figure}_{share} value={ours:.1f} unit=ms against=postgres ratio={ours / anchor:.2f}"
              f" postgres={anchor:.1f}", flush=True)  # fmt: skip


async def _tell_space(size: int, admin: Any, node: RealOpenSearch, engine: Engine, db: Database) -> None:
    space = await admin.fetchrow(SPACE)
    living = await mirroring.living_mirror(db)
    assert living is not None
    told = await engine.bytes(living.id)
    for name, value in (("postings", space["postings"]), ("graph", space["graph"]), ("opensearch", told)):
        print(f"figure search_index_{size}_{name} value={value / size:.0f} unit=bytes_a_chunk against={value}")
    buffers = await admin.fetchval("SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'")
    print(f"figure search_index_{size}_resident value={_resident(node.pid) >> 20} unit=MiB against=postgres_buffers"
          f" postgres={buffers >> 20}")  # fmt: skip


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or SIZES)
