"""Claims/s of the scheduler with a million due rows beside the bare statement, and idle looks right after them.

Run by `python -m tests.bench.scheduler`. Four workers on four connections; ours and the bare statement (one wide table,
one partial index, the due head updated away) take turns on the same server, in batches of the same size.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import asyncpg

from libs.common.database.engine import Database
from libs.local.postgres import Postgres
from services.sync.repository import schedules
from services.sync.repository.schedules import Due
from services.sync.workers.scheduler import LANES_A_CLAIM, Claims
from tests.support.plans import scans
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_postgres, temporary_state

ROWS = 1_000_000
WORKERS = 4
SECONDS = 3.0
ROUNDS = 3
IDLE_LOOKS = 250  # of each worker
IDLE_MS = 2
LEAST_RATIO = 0.7
BUSY = 2
LEASE = timedelta(hours=6)  # a slow machine must not meet its own claims again
LOAD = (
    f"""
INSERT INTO poll_schedule (resource_id, integration_id, workspace_id, due_at, next_poll_at, every, reason)
SELECT 'resource-' || n, 'integration-' || n, 'workspace-' || n % 50000, at, at, '15 minutes', 'quiet: every 15 min'
FROM generate_series(1, {ROWS}) n, LATERAL (SELECT now() - n % 3600 * interval '1 second' AS at) t
""",
    "CREATE TABLE bare (id text PRIMARY KEY, workspace_id text NOT NULL, enabled boolean NOT NULL,"
    " next_poll_at timestamptz NOT NULL, config text NOT NULL)",
    f"""
INSERT INTO bare SELECT 'integration-' || n, 'workspace-' || n % 50000, true, now() - n % 3600 * interval '1 second',
  repeat('x', 150) FROM generate_series(1, {ROWS}) n
""",
    "CREATE INDEX bare_due ON bare (next_poll_at) WHERE enabled",
    "VACUUM ANALYZE bare",
    "VACUUM ANALYZE poll_schedule",
)
BATCH = 500
BARE_CLAIM = f"""
WITH c AS (SELECT id FROM bare WHERE enabled AND next_poll_at <= now() ORDER BY next_poll_at LIMIT {BATCH}
  FOR UPDATE SKIP LOCKED)
UPDATE bare b SET next_poll_at = now() + interval '6 hours' FROM c WHERE b.id = c.id RETURNING b.id
"""
BY_INDEX = ["Index Scan on poll_schedule by poll_schedule_due", "Tid Scan on poll_schedule"]

Claim = Callable[[], Awaitable[list[str]]]


def main() -> int:
    with temporary_state() as state, running_postgres(state) as postgres:
        migrate_schemas(postgres, "sync")
        return asyncio.run(_bench(postgres))


async def _bench(postgres: Postgres) -> int:
    """1 when a row is claimed twice or never, a plan goes without the index, or a bar is missed."""
    await _load(postgres)
    db = Database("sync", app_url=postgres.dsn("sync_app"), worker_url=postgres.dsn("sync_worker"), worker_pool=WORKERS)
    bare = [await asyncpg.connect(postgres.dsn("postgres"), server_settings={"search_path": "sync"}) for _ in range(4)]
    try:
        indexed = await _explain(db)
        workers = [Claims(db, lease=LEASE, most=BATCH) for _ in range(WORKERS)]
        claimed, fast = await _race([_ours(one) for one in workers], [_bare(one) for one in bare])
        claimed += await _drain([_ours(one) for one in workers])
        idle = await _idle(workers, db)
    finally:
        for connection in bare:
            await connection.close()
        await db.close()
    twice = len(claimed) - len(set(claimed))
    print(f"figure scheduler_double_claims value={twice} unit=claims against={ROWS}")
    print(f"figure scheduler_unclaimed value={ROWS - len(set(claimed))} unit=rows against={ROWS}")
    return int(bool(twice) or len(set(claimed)) != ROWS or not (indexed and fast and idle))


async def _load(postgres: Postgres) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"), server_settings={"search_path": "sync"})
    for statement in LOAD:
        await admin.execute(statement, timeout=120)
    await admin.close()


async def _explain(db: Database) -> bool:
    async with db.queue() as tx:
        lanes = await schedules.look(tx, schedules.BEGINNING)
        await tx.execute(schedules.BY_HEAD)
        plan = await scans(tx, schedules.CLAIM, *schedules.claim_arguments(lanes, BATCH // LANES_A_CLAIM, LEASE))
    print(f"plan of a claim: {', '.join(plan)}")
    return plan == BY_INDEX


def _ours(claims: Claims) -> Claim:
    async def claim() -> list[str]:
        return [one.resource_id for one in await claims.next()]

    return claim


def _bare(connection: asyncpg.Connection[asyncpg.Record]) -> Claim:
    async def claim() -> list[str]:
        return [row["id"] for row in await connection.fetch(BARE_CLAIM)]

    return claim


async def _race(ours: list[Claim], bare: list[Claim]) -> tuple[list[str], bool]:
    """Round by round, one after the other; the ratio is of each round's own two speeds, and its median has a bar."""
    claimed: list[str] = []
    speeds, ratios = [], []
    for _ in range(ROUNDS):
        found, seconds = await _together(ours, SECONDS)
        raw, raw_seconds = await _together(bare, SECONDS)
        claimed += found
        speeds.append(len(found) / seconds)
        ratios.append(speeds[-1] / (len(raw) / raw_seconds))
    speed, ratio = statistics.median(speeds), statistics.median(ratios)
    print(f"figure scheduler_claims value={speed:.0f} unit=claims/s against=bare_sql ratio={ratio:.3f}", flush=True)
    return claimed, ratio >= LEAST_RATIO


async def _drain(ours: list[Claim]) -> list[str]:
    return (await _together(ours, 600))[0]


async def _together(workers: list[Claim], seconds: float) -> tuple[list[str], float]:
    """Each claims until the time is over or nothing is due."""
    start = time.perf_counter()

    async def work(claim: Claim) -> list[str]:
        found: list[str] = []
        while time.perf_counter() - start < seconds and (more := await claim()):
            found += more
        return found

    claimed = [one for found in await asyncio.gather(*(work(claim) for claim in workers)) for one in found]
    return claimed, time.perf_counter() - start


async def _idle(workers: list[Claims], db: Database) -> bool:
    """Each worker's looks from the first one on, one after another as an idle service makes them; between them an empty
    transaction (`SELECT 1`), which tells what the machine itself takes.

    False above the bar, or on a busy machine above twice of what an empty transaction takes there."""
    looks: list[float] = []
    nothing: list[float] = []
    for claims in workers:
        for _ in range(IDLE_LOOKS):
            looks.append(await _timed(claims.next))
            nothing.append(await _timed(partial(_nothing, db)))
    for name, taken in (("idle_poll", looks), ("empty_transaction", nothing)):
        for percent in (50, 99):
            figure, took = f"scheduler_{name}_p{percent}", _percentile(taken, percent)
            print(f"figure {figure} value={took:.2f} unit=ms against={IDLE_MS} ratio={took / IDLE_MS:.3f}")
    took, empty = _percentile(looks, 99), _percentile(nothing, 99)
    print(f"figure scheduler_idle_poll value={took:.2f} unit=ms against=empty_transaction ratio={took / empty:.3f}")
    return took <= max(IDLE_MS, BUSY * empty)


def _percentile(taken: list[float], percent: int) -> float:
    return statistics.quantiles(taken, n=100)[percent - 1]


async def _timed(work: Callable[[], Awaitable[list[Due]]]) -> float:
    start = time.perf_counter()
    if await work():
        raise AssertionError("something was still due")
    return (time.perf_counter() - start) * 1000


async def _nothing(db: Database) -> list[Due]:
    async with db.queue() as tx:
        await tx.execute("SELECT 1")
    return []


if __name__ == "__main__":
    sys.exit(main())
