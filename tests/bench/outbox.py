"""Outbox rows/s to the broker: the relay beside a bare loop of the same keep-and-mark SQL and the same producer.

Run by `python -m tests.bench.outbox`, on the embedded broker and, where Java and Maven are, on an Apache Kafka. Bare:
lock and read the next rows, send them, mark them with partition and offset, commit; no lease, no seq, no look at logs.
With SLUICE_CHAOS=long also what 64 writers lose to the wake-ups of a relay in their process (L07).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer

from libs.common.database.engine import Database
from libs.common.events import CATALOG
from libs.common.events.cloudevents import Attributes, encode
from libs.common.outbox.relay import BATCH, Relay
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.kafka import real_kafka
from tests.support.stack import running_broker, running_postgres, temporary_state

ROWS = 10_000
ROUNDS = 5
WRITERS, WRITES = 64, 50
FILL = """
INSERT INTO outbox (event_id, workspace_id, topic, key, payload, traceparent)
SELECT gen_random_uuid()::text, 'ws', $2, 'key-' || n % 1000, convert_to(repeat('x', 400), 'UTF8'),
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
FROM generate_series(1, $1) AS n
"""
PICK = """
SELECT id, event_id, topic, key, payload, occurred_at, traceparent FROM outbox WHERE published_at IS NULL ORDER BY id
LIMIT $1 FOR UPDATE SKIP LOCKED
"""
MARK = """
UPDATE outbox SET published_at = clock_timestamp(), cluster_id = $1, kafka_partition = u.part, kafka_offset = u.at
FROM unnest($2::bigint[], $3::integer[], $4::bigint[]) AS u(id, part, at) WHERE outbox.id = u.id
"""
Measure = Callable[[], Awaitable[float]]


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with temporary_state() as state, running_postgres(state) as postgres:
        with running_broker(state) as broker:
            asyncio.run(_bench(postgres, rig.Bus(broker.bootstrap, broker.flavour)))
        with _kafka_if_there() as kafka:
            if kafka:
                asyncio.run(_bench(postgres, rig.Bus(kafka, "kafka")))


@contextmanager
def _kafka_if_there() -> Iterator[str | None]:
    if shutil.which("java") is None or shutil.which("mvn") is None:
        print("no Java or no Maven here: the embedded broker alone is measured")
        yield None
        return
    with real_kafka() as broker:
        yield broker.bootstrap


async def _bench(postgres: Postgres, bus: rig.Bus) -> None:
    name = await rig.new_database(postgres, ["auth"])
    await rig.fresh_topics(bus, [topic.name for topic in CATALOG if topic.owner == "auth"])
    db = Database("auth", **rig.urls(postgres, "auth", name), app_pool=WRITERS)
    admin = await asyncpg.connect(postgres.dsn("postgres", name), server_settings={"search_path": "auth"})
    try:
        await _throughput(db, admin, bus, postgres.dsn("auth_worker", name))
        if os.environ.get("SLUICE_CHAOS") == "long":
            await _wake_ups(db, bus)
    finally:
        await admin.close()
        await db.close()


async def _throughput(db: Database, admin: asyncpg.Connection, bus: rig.Bus, worker_url: str) -> None:
    async def ours() -> float:
        async def all_sent() -> None:
            assert await admin.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0

        async with rig.running(Relay(db, "auth", bus)):
            await rig.write_events(db, 1)
            await eventually(all_sent, timeout=60)
            await admin.execute(FILL, ROWS, rig.TOPIC)
            start = time.perf_counter()
            db.outbox_written.set()
            await eventually(all_sent, timeout=60, interval=0.02)
            return time.perf_counter() - start

    async def bare() -> float:
        await admin.execute(FILL, ROWS, rig.TOPIC)
        return await _send_bare(worker_url, bus)

    speed, ratio = await _interleaved(admin, ours, bare)
    name = f"outbox_{bus.kafka_flavour}"
    print(f"figure {name} value={speed:.0f} unit=events/s against=keep_and_mark ratio={ratio:.3f}")


async def _interleaved(admin: asyncpg.Connection, ours: Measure, bare: Measure) -> tuple[float, float]:
    speeds, ratios = [], []
    for _ in range(ROUNDS):
        await admin.execute("VACUUM ANALYZE outbox")
        seconds = await ours()
        await admin.execute("VACUUM ANALYZE outbox")
        anchor = await bare()
        speeds.append(ROWS / seconds)
        ratios.append(anchor / seconds)
    return statistics.median(speeds), statistics.median(ratios)


async def _send_bare(worker_url: str, bus: rig.Bus) -> float:
    connection = await asyncpg.connect(worker_url, server_settings={"search_path": "auth"})
    try:
        async with rig.producer_to(bus) as producer:
            start = time.perf_counter()
            while await _bare_round(connection, producer):
                pass
            return time.perf_counter() - start
    finally:
        await connection.close()


async def _bare_round(connection: asyncpg.Connection, producer: AIOKafkaProducer) -> int:
    async with connection.transaction():
        rows = await connection.fetch(PICK, BATCH)
        sent = [
            await producer.send(row["topic"], row["payload"], key=row["key"].encode(), headers=_headers(row))
            for row in rows
        ]
        acks = await asyncio.gather(*sent)
        partitions, offsets = [ack.partition for ack in acks], [ack.offset for ack in acks]
        await connection.execute(MARK, "cluster", [row["id"] for row in rows], partitions, offsets)
    return len(rows)


def _headers(row: asyncpg.Record) -> list[tuple[str, bytes]]:
    about = Attributes(
        id=row["event_id"], source="/sluice/auth", type=row["topic"], time=row["occurred_at"], subject=row["key"],
        traceparent=row["traceparent"],
    )  # fmt: skip
    return encode(about)


async def _wake_ups(db: Database, bus: rig.Bus) -> None:
    """A wake-up is an event of the process, set after the commit: NOTIFY would lock all commits of the database."""

    async def writer(number: int) -> None:
        for version in range(WRITES):
            async with db.transaction(f"ws-{number}") as tx:
                await tx.emit(rig.connected(f"key-{number}", version, f"ws-{number}"))

    async def seconds(*, woken: bool) -> float:
        wake = db.outbox_written.set
        db.outbox_written.set = wake if woken else lambda: None  # type: ignore[method-assign]
        start = time.perf_counter()
        await asyncio.gather(*(writer(number) for number in range(WRITERS)))
        spent = time.perf_counter() - start
        db.outbox_written.set = wake  # type: ignore[method-assign]
        return spent

    ratios = []
    async with rig.running(Relay(db, "auth", bus)):
        for _ in range(ROUNDS):
            without = await seconds(woken=False)
            ratios.append(without / await seconds(woken=True))
    kept = statistics.median(ratios)
    print(
        f"figure L07_{bus.kafka_flavour} value={100 * (1 - kept):.1f} unit=%_lost against=no_wake_up ratio={kept:.3f}"
    )


if __name__ == "__main__":
    main()
