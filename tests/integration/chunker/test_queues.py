"""Every queue is claimed alike: by lease, no row by two, the same share for each workspace, and by index alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.local.postgres import Postgres
from services.chunker.repository import embedding_queue, mirror, queue
from services.chunker.repository.summaries import wanted
from tests.integration.chunker.conftest import Rig
from tests.support.plans import scans_of

LEASE_S = 60.0
GENERATION = 1
INDEXED = "source_id, integration_id, provider, version, remove"
Claim = Callable[[Transaction, int, float], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Queue:
    table: str
    columns: str  # beside the workspace; each row's name is $1
    values: str
    claim: Claim
    sql: str

    @property
    def key(self) -> str:
        return self.columns.partition(",")[0]


async def claim_embedding(tx: Transaction, limit: int, lease_s: float) -> Sequence[Any]:
    return await embedding_queue.claim(tx, GENERATION, limit, lease_s)


QUEUES = [
    Queue("index_wanted", INDEXED, "'i', 'p', 1, false", queue.claim, queue.CLAIM),
    Queue("embed_wanted", "source_id, generation", "1", claim_embedding, embedding_queue.CLAIM),
    Queue("summary_wanted", "tree, due_at", "now()", wanted.claim, wanted.CLAIM),
    Queue("mirror_wanted", "source_id, fill", "false", mirror.claim, mirror.CLAIM),
]
every_queue = pytest.mark.parametrize("of", QUEUES, ids=lambda of: of.table)


@pytest.fixture
async def admin(rig: Rig, migrated: Postgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(migrated.dsn("postgres"), server_settings={"search_path": "chunker,public"})
    await connection.execute(
        "INSERT INTO embedding_generation (id, name, dimension, state) OVERRIDING SYSTEM VALUE "
        "VALUES ($1, 'm', 4, 'building')",
        GENERATION,
    )
    yield connection
    await connection.close()


async def fill(admin: Any, of: Queue, workspace: str, count: int) -> None:
    await admin.execute(
        f"INSERT INTO {of.table} (workspace_id, {of.columns}) "
        f"SELECT $1, $1 || '-' || n, {of.values} FROM generate_series(1, $2) n",
        workspace,
        count,
    )


async def claimed(db: Database, of: Queue, limit: int, lease_s: float = LEASE_S) -> list[str]:
    async with db.queue() as tx:
        return [getattr(one, of.key) for one in await of.claim(tx, limit, lease_s)]


@every_queue
async def test_workspace_with_many_rows_leaves_another_its_share(rig: Rig, admin: Any, of: Queue) -> None:
    await fill(admin, of, "large", 300)
    await fill(admin, of, "small", 3)
    first = await claimed(rig.db, of, 10)
    assert len(first) == 10
    assert {name for name in first if name.startswith("small")} == {"small-1", "small-2", "small-3"}


@every_queue
async def test_workspace_that_came_last_is_not_served_last(rig: Rig, admin: Any, of: Queue) -> None:
    """More workspaces wait than a claim takes rows: chance alone says which is next."""
    for number in range(30):
        await fill(admin, of, f"before-{number}", 30)
    await fill(admin, of, "last", 1)
    half = [name for _ in range(45) for name in await claimed(rig.db, of, 10)]
    assert len(half) == 450
    assert "last-1" in half  # by chance alone it is missed once in 40 million runs


@every_queue
async def test_claims_beside_each_other_take_no_row_twice(rig: Rig, admin: Any, of: Queue) -> None:
    for workspace in ("w1", "w2", "w3"):
        await fill(admin, of, workspace, 40)
    found: list[str] = []
    while batch := [
        name for names in await asyncio.gather(*(claimed(rig.db, of, 10) for _ in range(4))) for name in names
    ]:
        found += batch
    assert len(found) == len(set(found)) == 120


@every_queue
async def test_row_is_claimed_again_when_its_lease_ends_by_another_epoch(rig: Rig, admin: Any, of: Queue) -> None:
    await fill(admin, of, "w1", 1)
    assert await claimed(rig.db, of, 10, lease_s=0.0) == ["w1-1"]
    assert await claimed(rig.db, of, 10) == ["w1-1"]
    assert await claimed(rig.db, of, 10) == []
    assert await admin.fetchval(f"SELECT epoch FROM {of.table}") == 2


@every_queue
async def test_claim_finds_what_is_due_by_index(rig: Rig, admin: Any, of: Queue) -> None:
    for n in range(20):
        await fill(admin, of, f"w{n}", 1000)
    await admin.execute(f"ANALYZE {of.table}")
    given = {"limit": 10, "lease_s": LEASE_S} | ({"generation": GENERATION} if ":generation" in of.sql else {})
    async with rig.db.queue() as tx:
        read = scans_of(await tx.fetch_value(f"EXPLAIN (FORMAT JSON) {of.sql}", **given))
    # The walk from workspace to workspace, and the first of each: whatever lies in the queue besides.
    assert f"Index Only Scan on {of.table} by {of.table}_due" in read
    assert f"Index Scan on {of.table} by {of.table}_due" in read
