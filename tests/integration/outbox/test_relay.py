"""Every committed row reaches the broker, in the order of its key; seq has no gaps (F01, F02 in CI sizes)."""

import asyncio
import random
from collections import Counter
from itertools import pairwise

import pytest

from libs.common.bus.broker import TIMINGS
from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.database.engine import Database
from libs.common.events import IntegrationConnected
from libs.common.outbox import feed, rows
from libs.common.outbox.relay import Relay
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.figures import Tell, sized

WRITERS, EACH = 16, sized(125, 500)
# The control readers keep a cursor on raw ids, as most outboxes do. They read a copy that the relay never touches.
CONTROL = """
CREATE TABLE control (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id());
CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO control (id) VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER copy_row AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION copy_row();
"""
NAIVE = "SELECT id FROM control WHERE id > :last ORDER BY id"
WITH_XMIN = """
SELECT id FROM control WHERE id > :last AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY id
"""
EARLY_ID = "SELECT nextval(pg_get_serial_sequence('auth.outbox', 'id'))"
INSERT_EARLY = """
INSERT INTO outbox (id, event_id, workspace_id, topic, key, payload) OVERRIDING SYSTEM VALUE
VALUES (:id, :event_id, :workspace, :topic, :key, '{}')
"""


async def write(db: Database, writer: int, seed: int) -> None:
    """Mixed commit delays; one in twenty takes its id before its transaction has an xid."""
    chance = random.Random(f"{seed}-{writer}")
    for number in range(EACH):
        workspace, key = f"ws-{writer}", f"key-{writer}-{number % 3}"
        async with db.transaction(workspace) as tx:
            delay = chance.choice((0, 0, 0.002, 0.01))
            if chance.random() < 0.05:
                early = await tx.fetch_value(EARLY_ID)
                await tx.execute("SELECT pg_sleep(0.02)")
                await tx.execute(
                    INSERT_EARLY, id=early, event_id=f"early-{writer}-{number}", workspace=workspace, topic=rig.TOPIC,
                    key=key,
                )  # fmt: skip
            else:
                await tx.emit(rig.connected(key, number + 1, workspace))
            if delay:
                await tx.execute("SELECT pg_sleep(:delay)", delay=delay)


async def follow(db: Database, sql: str, done: asyncio.Event) -> set[int]:
    found: set[int] = set()
    last = 0
    while True:
        ending = done.is_set()
        async with db.queue() as tx:
            new = [row["id"] for row in await tx.fetch_all(sql, last=last)]
        found |= set(new)
        last = max([last, *new])
        if ending:
            return found


async def test_sixteen_writers_lose_nothing_where_readers_by_id_do(
    postgres: Postgres, name: str, bus: rig.Bus, figure: Tell
) -> None:
    total = WRITERS * EACH
    db = Database("auth", **rig.urls(postgres, "auth", name), app_pool=WRITERS)
    async with rig.as_owner(postgres, db, name) as owner:
        await owner.execute(CONTROL)
    done = asyncio.Event()
    async with rig.running(Relay(db, "auth", bus)):
        naive = asyncio.create_task(follow(db, NAIVE, done))
        with_xmin = asyncio.create_task(follow(db, WITH_XMIN, done))
        await asyncio.gather(*(write(db, writer, seed=7) for writer in range(WRITERS)))
        done.set()
        lost_naive, lost_xmin = total - len(await naive), total - len(await with_xmin)

        async def all_sent() -> None:
            assert await rig.unpublished(db) == 0

        await eventually(all_sent)
    records = await rig.everything(bus)
    async with db.queue() as tx:
        stored = await tx.fetch_all("SELECT id, key, seq, kafka_partition, kafka_offset FROM outbox ORDER BY seq")
    lost = len(await rig.event_ids(db) - set(rig.ids_of(records)))
    await db.close()
    figure("F01", lost, "lost", total)
    figure("F01_control_naive", lost_naive, "lost", total)
    figure("F01_control_xmin", lost_xmin, "lost", total)
    assert lost == 0
    assert len(records) == total
    assert [row["seq"] for row in stored] == list(range(1, total + 1))
    assert lost_naive >= 1
    assert lost_xmin >= 1
    by_key: dict[str, list[int]] = {}
    for row in stored:
        by_key.setdefault(row["key"], []).append(row["kafka_offset"])
    assert all(earlier < later for offsets in by_key.values() for earlier, later in pairwise(offsets))


@pytest.mark.parametrize("point", ["relay.picked", "relay.sent", "relay.acked", "relay.marked"])
async def test_killed_at_a_crash_point_the_next_relay_loses_nothing(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, point: str, figure: Tell
) -> None:
    batch, count = 50, 200
    await rig.write_events(db, count)
    crash = {"SLUICE_CRASHPOINT": f"{point}:2", "BATCH": str(batch)}
    async with rig.process("tests.integration.outbox.relay_process", postgres, name, bus, **crash) as child:
        assert await rig.killed(child)
    assert 0 < await rig.unpublished(db) < count
    consumers = Consumers(f"room-{point}")
    consumers.consume(IntegrationConnected)(rig.see)
    component = create_consumer_component(consumers, db, db, bus, timing=TIMINGS[bus.kafka_flavour])
    async with rig.running(Relay(db, "auth", bus, batch=batch), component):

        async def all_seen() -> None:
            assert len(await rig.seen(db)) == count
            assert await rig.unpublished(db) == 0

        await eventually(all_seen, timeout=25)
    records = rig.ids_of(await rig.everything(bus))
    lost, repeated = len(await rig.event_ids(db) - set(records)), len(records) - len(set(records))
    figure("F02", lost, "lost", count)
    figure("F02_broker_duplicates", repeated, "records", f"at_most_{batch}")
    assert lost == 0
    assert repeated <= batch
    assert rig.disorder(await rig.seen(db)) == 0


async def test_two_relays_one_works_and_the_other_takes_over(db: Database, bus: rig.Bus) -> None:
    first, second = Relay(db, "auth", bus), Relay(db, "auth", bus)
    async with rig.running(second):
        async with rig.running(first):
            await rig.write_events(db, 30)
            await eventually(lambda: rig.all_published(db))
        await rig.write_events(db, 30, first=4)
        await eventually(lambda: rig.all_published(db))
    ids = rig.ids_of(await rig.everything(bus))
    assert Counter(ids).most_common(1)[0][1] == 1
    assert len(ids) == 60


async def test_a_written_row_is_sent_at_once(db: Database, bus: rig.Bus, figure: Tell) -> None:
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, 1)
        await eventually(lambda: rig.all_published(db))
        loop = asyncio.get_running_loop()
        waited = []
        for number in range(10):
            began = loop.time()
            await rig.write_events(db, 1, first=number + 2)
            await eventually(lambda: rig.all_published(db), interval=0.005)
            waited.append(loop.time() - began)
    figure("outbox_latency_median", round(sorted(waited)[5] * 1000, 1), "ms", "commit_to_marked")
    assert sorted(waited)[5] < 0.2


async def test_old_rows_go_after_the_topics_retention_and_unpublished_ones_stay(db: Database, bus: rig.Bus) -> None:
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, 6)
        await eventually(lambda: rig.all_published(db))
    async with db.queue() as tx:
        await tx.execute("UPDATE outbox SET published_at = published_at - interval '169 hours' WHERE id <= 4")
        await tx.execute("UPDATE outbox SET published_at = NULL WHERE id = 1")
    assert await rows.drop_old(db, rig.TOPIC, 168) == 3
    async with db.queue() as tx:
        assert [row["id"] for row in await tx.fetch_all("SELECT id FROM outbox ORDER BY id")] == [1, 5, 6]


async def test_the_feed_gives_a_workspace_its_rows_in_order_and_no_others(db: Database, bus: rig.Bus) -> None:
    async with rig.running(Relay(db, "auth", bus)):
        for number in range(5):
            await rig.write_events(db, 1, first=number + 1)
            await rig.write_events(db, 1, first=number + 1, workspace="ws-other")
        await eventually(lambda: rig.all_published(db))
    seqs: list[int] = []
    while True:
        async with db.transaction(rig.WORKSPACE) as tx:
            page = await feed.read_feed(tx, rig.WORKSPACE, rig.TOPIC, after=seqs[-1] if seqs else 0, limit=2)
        if not page:
            break
        seqs += [item.seq for item in page]
        assert all(b'"ws-bus"' in bytes(item.payload) for item in page)
    assert len(seqs) == 5
    assert seqs == sorted(seqs)
