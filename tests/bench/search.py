"""Searches among 100,000 chunks beside the same statements sent by the driver alone, paired query by query.

Run by `python -m tests.bench search`. Ours is everything but the socket: both rankings, fusion, highlights, the answer
as JSON. The anchor replays the very statements that ours sent, values included, and does nothing with the rows.
A workspace with 0.1 % of the rows is asked in the same tables. Recall is of filtered vector search against reading all.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg
import msgspec
import numpy as np

from libs.common.database.engine import LIMITS, PLANNING
from libs.local.postgres import Postgres
from services.chunker.api.search import SearchAsked, answer_of
from services.chunker.domain.searching import Filters, Question
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.index.postgres import PostgresIndex
from services.chunker.repository import vectors
from services.chunker.repository.filters import narrowing
from services.chunker.use_cases.searching import Searcher
from tests.bench.search_corpus import Standing, standing
from tests.bench.search_rows import CHUNKS, LARGE, SMALL, queries
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_postgres, temporary_state

QUERIES, WARM = 300, 20
MOST_P50, MOST_P99, LEAST_RECALL = 1.5, 2.0, 0.95
FILTERED = Filters(path="rust/")
SEED = 7

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Statement = tuple[str, Sequence[Any]]


def main() -> None:
    with temporary_state() as state, running_postgres(state) as postgres:
        migrate_schemas(postgres, "chunker")
        asyncio.run(_bench(postgres))


async def _bench(postgres: Postgres) -> None:
    started = time.monotonic()
    async with standing(postgres, SEED) as stands:
        print(f"{sum(CHUNKS.values())} chunks in {time.monotonic() - started:.0f} s; "
              f"{await stands.admin.fetchval('SELECT count(*) FROM posting')} postings")  # fmt: skip
        settings = {**LIMITS, **PLANNING, "search_path": "chunker, public"}
        bare = await asyncpg.connect(postgres.dsn("chunker_app"), server_settings=settings)
        await bare.set_type_codec("halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary")
        for workspace in (LARGE, SMALL):
            await _measure(stands, bare, workspace)
        await bare.close()


async def _measure(stands: Standing, bare: Connection, workspace: str) -> None:
    index = PostgresIndex(stands.db)
    both = Searcher(index, queries=stands.queries())
    for name, searcher, filters in (
        ("words", Searcher(index), Filters()),
        ("fused", both, Filters()),
        ("filtered", both, FILTERED),
    ):
        texts = stands.draw(QUERIES + WARM)
        await _compare(f"search_{workspace}_{name}", searcher, bare, workspace, filters, texts)
    await _tell_recall(stands, workspace)


async def _compare(
    figure: str, searcher: Searcher, bare: Connection, workspace: str, filters: Filters, texts: Sequence[str]
) -> None:
    """Turn by turn, so that other work on the machine weighs on both sides alike."""
    ours: list[float] = []
    raw: list[float] = []
    for n, text in enumerate(texts):
        question = Question(query=text, filters=filters)
        statements = await _statements(searcher, workspace, question)
        for side in (0, 1) if n % 2 else (1, 0):
            if side:
                ours.append(await search_seconds(searcher, workspace, question))
            else:
                raw.append(await _replay(bare, workspace, statements))
    for name, share, most in (("p50", 0.5, MOST_P50), ("p99", 0.99, MOST_P99)):
        value, anchor = (1000 * float(np.quantile(side[WARM:], share)) for side in (ours, raw))
        print(f"figure {figure}_{name} value={value:.2f} unit=ms against=same_sql ratio={value / anchor:.3f}"
              f" bare={anchor:.2f} target={most}")  # fmt: skip
    print(f"  {figure}: {statistics.fmean(ours) * 1000:.2f} ms mean, {len(statements)} statements")


async def search_seconds(searcher: Searcher, workspace: str, question: Question) -> float:
    started = time.perf_counter()
    found = await searcher.search(workspace, question)
    msgspec.json.encode(answer_of(found, SearchAsked(query=question.query)))
    return time.perf_counter() - started


async def _statements(searcher: Searcher, workspace: str, question: Question) -> list[Statement]:
    """What a search sends between BEGIN and COMMIT."""
    sent: list[Statement] = []
    async with searcher.index.reading(workspace) as index, index.truth() as tx:
        connection = await tx.driver()

    def keep(query: asyncpg.connection.LoggedQuery) -> None:
        sent.append((query.query, query.args))

    with connection.query_logger(keep):
        await searcher.search(workspace, question)
    return [one for one in sent if not one[0].startswith(("BEGIN", "COMMIT"))]


async def _replay(bare: Connection, workspace: str, statements: Sequence[Statement]) -> float:
    started = time.perf_counter()
    await bare.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                       f"SELECT set_config('app.workspace', '{workspace}', true)")  # fmt: skip
    for sql, values in statements:
        await bare.fetch(sql, *values)
    await bare.execute("COMMIT")
    return time.perf_counter() - started


async def _tell_recall(stands: Standing, workspace: str) -> None:
    """Of the ten nearest: without a filter, and within a quarter of the sources."""
    embedded = stands.embedded[workspace]
    first = 0 if workspace == LARGE else CHUNKS[LARGE]
    for name, filters in (("all", Filters()), ("filtered", FILTERED)):
        narrow = narrowing(filters)
        async with stands.db.snapshot(workspace) as tx:
            rows = await tx.fetch_all(
                narrow.sql if narrow else "SELECT pk FROM chunk", **(narrow.values if narrow else {})
            )
            allowed = np.array(sorted(row["pk"] for row in rows)) - first
            shares = []
            for _, vector in queries(stands.corpus, 50, stands.random):
                exact = set(allowed[np.argsort(-(embedded[allowed] @ vector))[:10]] + first)
                near = await vectors.nearest(tx, stands.generation, halfvecs(vector)[0], 100, narrow=narrow)
                shares.append(len(exact & {one.pk for one in near[:10]}) / len(exact))
        recall = statistics.fmean(shares)
        print(f"figure search_{workspace}_recall_{name} value={recall:.3f} unit=of_exact_top_10 against={LEAST_RECALL}"
              f" ratio={recall / LEAST_RECALL:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
