"""Rows/s of the apply path beside raw SQL that writes the very same rows by unnest, paired round by round.

Run by `python -m tests.bench.sync`. Unchanged: beside reading the known hashes of the same keys and comparing them.
New: beside inserting the same columns of the same sources, outbox rows and changed files in one transaction. Both make
their ids and hashes, and both commit once per page of 100 or of 1,000 objects as the application role.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.ids import new_id
from libs.common.provider.sync import ChangedFile, Observed
from libs.common.telemetry.tracing import configure_tracing, use_traceparent
from services.sync.domain.content import seen_hash
from services.sync.domain.plan import Batch
from services.sync.use_cases.apply import apply_batch
from tests.bench.raw_apply import insert_raw
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_postgres, temporary_state

ROWS = 4_000
ROUNDS = 7
WORDS = "the quick brown fox jumps over the lazy dog and reads the manual once more before it sleeps ".split()
WORKSPACE = "bench"
AT = datetime(2026, 1, 1, tzinfo=UTC)
PULL_REQUEST_EVERY, FILES_EACH = 4, 5
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Work = Callable[[Transaction, str, Sequence[Observed]], Awaitable[None]]


def main() -> None:
    configure_tracing("bench", "")
    with temporary_state() as state, running_postgres(state) as postgres:
        migrate_schemas(postgres, "sync")
        asyncio.run(_bench(postgres.dsn("sync_app"), postgres.dsn("sync_worker"), postgres.dsn("postgres")))


async def _bench(app_url: str, worker_url: str, admin_url: str) -> None:
    db = Database("sync", app_url=app_url, worker_url=worker_url)
    admin = await asyncpg.connect(admin_url, server_settings={"search_path": "sync"})
    try:
        for size, suffix in ((1_000, ""), (100, "_100")):
            pages = _pages(size)
            await _report_new(db, admin, f"apply_new{suffix}", pages)
            await _report_unchanged(db, admin, f"apply_unchanged{suffix}", pages)
    finally:
        await admin.close()
        await db.close()


Pages = Sequence[Sequence[Observed]]
Admin = asyncpg.Connection


async def _report_new(db: Database, admin: Admin, figure: str, pages: Pages) -> None:
    """Each measurement has a resource of its own; the rows of both sides are compared once."""
    ours, raw = new_id(), new_id()
    await _timed(db, _apply, ours, pages)
    await _timed(db, insert_raw, raw, pages)
    written = await _sizes(admin, ours)
    if written != await _sizes(admin, raw):
        raise AssertionError(f"not the same rows: {written} and {await _sizes(admin, raw)}")
    await _compare(db, figure, "raw_unnest", (_apply, new_id), (insert_raw, new_id), pages)


async def _report_unchanged(db: Database, admin: Admin, figure: str, pages: Pages) -> None:
    resource = new_id()
    await _timed(db, _apply, resource, pages)
    for statement in ("VACUUM ANALYZE source", "CHECKPOINT"):
        await admin.execute(statement)
    await _timed(db, _apply, resource, pages)
    before = await _wal(db, admin)
    if not before:
        raise AssertionError("the load itself wrote no WAL: it is not counted")
    await _compare(db, figure, "hash_diff", (_apply, lambda: resource), (_compare_raw, lambda: resource), pages)
    written = await _wal(db, admin) - before
    print(f"figure {figure}_wal value={written} unit=bytes against={ROWS * ROUNDS}")
    if written:
        raise AssertionError(f"unchanged rows wrote {written} bytes of WAL")


async def _wal(db: Database, admin: Admin) -> int:
    """Bytes of the service's own backends: the server's background processes write some, whatever we do."""
    async with db.transaction(WORKSPACE) as tx:
        await tx.execute("SELECT pg_stat_force_next_flush()")
    async with db.transaction(WORKSPACE):
        pass
    return int(
        await admin.fetchval(
            "SELECT sum(w.wal_bytes) FROM pg_stat_activity a, pg_stat_get_backend_wal(a.pid) w"
            " WHERE a.application_name = 'sluice-sync'"
        )
    )


async def _sizes(admin: Admin, resource: str) -> tuple[object, ...]:
    """Rows and bytes of what belongs to this resource, ids aside: they are as long on both sides."""
    return tuple(
        await admin.fetchrow(
            "SELECT (SELECT count(*) FROM source WHERE resource_id = $1),"
            " (SELECT sum(pg_column_size(s.*)) FROM source s WHERE resource_id = $1),"
            " (SELECT sum(pg_column_size(o.*)) FROM outbox o JOIN source s ON s.id = o.key WHERE s.resource_id = $1),"
            " (SELECT sum(pg_column_size(c.*)) FROM changed_file c WHERE c.resource_id = $1)",
            resource,
        )
    )


Side = tuple[Work, Callable[[], str]]


async def _compare(db: Database, figure: str, against: str, ours: Side, anchor: Side, pages: Pages) -> None:
    """A side is its work and the resource of its next measurement."""
    speeds: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        seconds = await _timed(db, ours[0], ours[1](), pages)
        raw = await _timed(db, anchor[0], anchor[1](), pages)
        speeds.append(ROWS / seconds)
        ratios.append(raw / seconds)
    speed, ratio = statistics.median(speeds), statistics.median(ratios)
    print(f"figure {figure} value={speed:.0f} unit=rows/s against={against} ratio={ratio:.3f}")


async def _timed(db: Database, work: Work, resource: str, pages: Pages) -> float:
    start = time.perf_counter()
    with use_traceparent(TRACEPARENT):
        for page in pages:
            async with db.transaction(WORKSPACE) as tx:
                await work(tx, resource, page)
    return time.perf_counter() - start


def _pages(size: int) -> Pages:
    items = [_item(number) for number in range(ROWS)]
    return [items[at : at + size] for at in range(0, ROWS, size)]


def _item(number: int) -> Observed:
    text = " ".join(WORDS[(number * 7 + at * 13) % len(WORDS)] for at in range(400))
    pull = number % PULL_REQUEST_EVERY == 0
    return Observed(
        key=f"issue:{number}", type="pull_request" if pull else "issue", name=f"Issue {number}",
        url=f"https://example.test/{number}", content=f"{number} {text}", content_type="text/markdown",
        revision=str(number), metadata={"number": number, "labels": ["bug", "help wanted"]}, author="bob",
        updated_at=AT, changed_files=tuple(_file(number, at) for at in range(FILES_EACH)) if pull else None,
    )  # fmt: skip


def _file(number: int, at: int) -> ChangedFile:
    return ChangedFile(
        path=f"src/{number}/{at}.py", status="modified", additions=at, deletions=1, blob_id=f"{number:040x}",
        patch="@@ -1 +1 @@\n-old\n+new\n",
    )  # fmt: skip


async def _apply(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    await apply_batch(
        tx,
        Batch(
            workspace_id=WORKSPACE, integration_id="i", resource_id=resource, provider="p", stream="s", cause="poll",
            observed=tuple(items),
        ),
    )  # fmt: skip


async def _compare_raw(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    sql = "SELECT external_key, seen_hash FROM source WHERE resource_id = $1 AND external_key = ANY($2::text[])"
    rows = await (await tx.driver()).fetch(sql, resource, [item.key for item in items])
    known = {row[0]: row[1] for row in rows}
    if any(known[item.key] != seen_hash(item) for item in items):
        raise AssertionError("the bench's own rows changed")


if __name__ == "__main__":
    main()
