"""Events/s of `source.indexed` until every source is ready: many events a call, beside one call and transaction each.

Run by `python -m tests.bench.statuses`: the broker of the embedded stack, a Postgres of its own, one consumer process.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from types import SimpleNamespace
from typing import cast

import asyncpg
import msgspec
import structlog

from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.database.engine import Database
from libs.common.events import SourceIndexed
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from services.sync.deps import Deps
from services.sync.use_cases import statuses
from tests.integration.bus import rig
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_broker, running_postgres, temporary_state

EVENTS = 3_000
ROUNDS = 3
WORKSPACES = 2
TOPIC = "source.indexed"
FILL = """
INSERT INTO source (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, seen_hash,
  version)
SELECT 's' || n, 'ws-' || n % $2, 'i', 'r', 'p', 'k' || n, 'issue', 'n', '', 1 FROM generate_series(0, $1 - 1) AS n
"""


async def many(events: list[SourceIndexed], deps: Deps) -> None:
    await statuses.note_indexed(events, db=deps.db)


async def one(event: SourceIndexed, deps: Deps) -> None:
    await statuses.note_indexed((event,), db=deps.db)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with temporary_state() as state, running_postgres(state) as postgres, running_broker(state) as broker:
        migrate_schemas(postgres, "sync")
        asyncio.run(_bench(postgres, rig.bus_of(broker.bootstrap)))


async def _bench(postgres: Postgres, bus: rig.Bus) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres"), server_settings={"search_path": "sync"})
    db = Database("sync", app_url=postgres.dsn("sync_app"), worker_url=postgres.dsn("sync_worker"))
    await admin.execute(FILL, EVENTS, WORKSPACES)
    together: list[float] = []
    alone: list[float] = []
    try:
        for _ in range(ROUNDS):
            for speeds, batched in ((together, True), (alone, False)):
                speeds.append(EVENTS / await _seconds(db, bus, admin, batched=batched))
    finally:
        await db.close()
        await admin.close()
    speed, anchor = statistics.median(together), statistics.median(alone)
    print(f"figure status_events value={speed:.0f} unit=events/s against=one_by_one ratio={speed / anchor:.2f}")


async def _seconds(db: Database, bus: rig.Bus, admin: asyncpg.Connection, *, batched: bool) -> float:
    """From the start of a new group to the last ready source."""
    await admin.execute("UPDATE source SET status = 'pending'")
    await rig.fresh_topics(bus, [TOPIC])
    await _send(bus)
    consumers = Consumers(f"bench-{new_id()}")
    if batched:
        consumers.consume_many(SourceIndexed)(many)
    else:
        consumers.consume(SourceIndexed)(one)
    deps = cast("Deps", SimpleNamespace(db=db))

    async def count_ready() -> int:
        return int(await admin.fetchval("SELECT count(*) FROM source WHERE status = 'ready'"))

    async def begun() -> bool:
        return await count_ready() > 0

    async def finished() -> bool:
        return await count_ready() == EVENTS

    async with rig.running(create_consumer_component(consumers, deps, db, bus)):
        await eventually(begun, timeout=60, interval=0.005)
        start, ready = time.perf_counter(), await count_ready()
        await eventually(finished, timeout=120, interval=0.02)
        return (time.perf_counter() - start) * EVENTS / (EVENTS - ready)


async def _send(bus: rig.Bus) -> None:
    async with rig.producer_to(bus) as producer:
        for number in range(EVENTS):
            event = SourceIndexed(
                workspace_id=f"ws-{number % WORKSPACES}",
                source_id=f"s{number}",
                integration_id="i",
                version=1,
                chunks=3,
            )
            await producer.send(TOPIC, msgspec.json.encode(event), key=event.key.encode(), headers=rig.headers(TOPIC))
        await producer.flush()


if __name__ == "__main__":
    main()
