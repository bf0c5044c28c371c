"""Rows/s of the apply path beside raw SQL for the same rows by unnest, paired round by round on one database.

Run by `python -m tests.bench.sync`. Unchanged: beside reading the known hashes of the same keys and comparing them.
New: beside inserting the same sources and outbox rows by unnest in one transaction. Both commit once per 1,000 rows.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import msgspec

from libs.common.database.engine import Database
from libs.common.database.migrate import migrate
from libs.common.database.transaction import Transaction
from libs.common.ids import new_id
from libs.common.provider.sync import Observed
from services.sync.domain.content import seen_hash
from services.sync.domain.plan import Batch
from services.sync.use_cases.apply import apply_batch
from tests.support.stack import running_postgres, temporary_state

ROWS = 4_000
STEP = 1_000
ROUNDS = 5
WORDS = "the quick brown fox jumps over the lazy dog and reads the manual once more before it sleeps ".split()
WORKSPACE = "bench"

RAW_SOURCES = """
INSERT INTO source (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, content,
  content_hash, seen_hash, version)
SELECT u.id, $1, 'i', $2, 'p', u.key, 'issue', u.key, u.content, u.hash, u.seen, 1
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[]) AS u(id, key, content, hash, seen)
"""
RAW_OUTBOX = """
INSERT INTO outbox (event_id, workspace_id, topic, key, payload)
SELECT u.id, $1, 'source.changed', u.id, u.payload FROM unnest($2::text[], $3::bytea[]) AS u(id, payload)
"""


def main() -> None:
    with temporary_state() as state, running_postgres(state) as postgres:
        worker = threading.Thread(target=migrate, args=("sync", postgres.dsn("sync_owner")))
        worker.start()
        worker.join()
        asyncio.run(_bench(postgres.dsn("sync_app"), postgres.dsn("sync_worker")))


async def _bench(app_url: str, worker_url: str) -> None:
    db = Database("sync", app_url=app_url, worker_url=worker_url)
    try:
        await _report(db, "apply_new", "raw_unnest", _apply, _insert_raw, fresh=True)
        await _report(db, "apply_unchanged", "hash_diff", _apply, _compare_raw, fresh=False)
    finally:
        await db.close()


Work = Callable[[Transaction, str, Sequence[Observed]], Awaitable[None]]


async def _report(db: Database, figure: str, against: str, ours: Work, anchor: Work, *, fresh: bool) -> None:
    """`fresh`: each measurement has a resource of its own; else all are of one that holds the rows already."""
    items = [_item(number) for number in range(ROWS)]
    resource = new_id()
    await _timed(db, _apply, resource, items)
    speeds: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        seconds = await _timed(db, ours, new_id() if fresh else resource, items)
        raw = await _timed(db, anchor, new_id() if fresh else resource, items)
        speeds.append(ROWS / seconds)
        ratios.append(raw / seconds)
    speed, ratio = statistics.median(speeds), statistics.median(ratios)
    print(f"figure {figure} value={speed:.0f} unit=rows/s against={against} ratio={ratio:.3f}")


async def _timed(db: Database, work: Work, resource: str, items: Sequence[Observed]) -> float:
    start = time.perf_counter()
    for at in range(0, len(items), STEP):
        async with db.transaction(WORKSPACE) as tx:
            await work(tx, resource, items[at : at + STEP])
    return time.perf_counter() - start


def _item(number: int) -> Observed:
    text = " ".join(WORDS[(number * 7 + at * 13) % len(WORDS)] for at in range(400))
    return Observed(
        key=f"issue:{number}", type="issue", name=f"Issue {number}", url=f"https://example.test/{number}",
        content=f"{number} {text}", content_type="text/markdown", revision=str(number), metadata={"number": number},
    )  # fmt: skip


async def _apply(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    await apply_batch(
        tx,
        Batch(
            workspace_id=WORKSPACE, integration_id="i", resource_id=resource, provider="p", stream="s", cause="poll",
            observed=tuple(items),
        ),
    )  # fmt: skip


async def _insert_raw(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    driver = await tx.driver()
    ids = [new_id() for _ in items]
    hashes = [sha256(item.content.encode()).hexdigest() for item in items]
    told = ({"source_id": one, "hash": digest} for one, digest in zip(ids, hashes, strict=True))
    payloads = [msgspec.json.encode(one) for one in told]
    keys, contents = [item.key for item in items], [item.content for item in items]
    seen = [seen_hash(item) for item in items]
    await driver.execute(RAW_SOURCES, WORKSPACE, resource, ids, keys, contents, hashes, seen)
    await driver.execute(RAW_OUTBOX, WORKSPACE, ids, payloads)


async def _compare_raw(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    sql = "SELECT external_key, seen_hash FROM source WHERE resource_id = $1 AND external_key = ANY($2::text[])"
    rows = await (await tx.driver()).fetch(sql, resource, [item.key for item in items])
    known = {row[0]: row[1] for row in rows}
    if any(known[item.key] != seen_hash(item) for item in items):
        raise AssertionError("the bench's own rows changed")


if __name__ == "__main__":
    main()
