"""Kills and absences around a consumer: F03, and a database that is away."""

import asyncio

import msgspec
import pytest

from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.bus.dead_letters import ask_replay, list_dead_letters
from libs.common.bus.policy import Backoff
from libs.common.database.engine import Database
from libs.common.events import IntegrationConnected
from libs.common.outbox.relay import Relay
from libs.common.telemetry.metrics import value
from libs.common.telemetry.tracing import current_trace_id, use_traceparent
from libs.common.testing.eventually import eventually
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.figures import Tell
from tests.support.running import Running
from tests.support.stack import temporary_state

QUICK = Backoff(first=0.02, factor=2.0, longest=0.2)
CONSUMER = "tests.integration.bus.consumer_process"


def listening(db: Database, bus: rig.Bus, group: str) -> object:
    consumers = Consumers(group)
    consumers.consume(IntegrationConnected)(rig.see)
    return create_consumer_component(consumers, db, db, bus, backoff=QUICK)


@pytest.mark.parametrize(
    "point", ["consume.received:40", "room.mid_transaction:40", "consume.handled:40", "consume.committed:4"]
)
async def test_killed_at_a_crash_point_the_next_consumer_loses_nothing(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, point: str, figure: Tell
) -> None:
    count, group = 120, f"room-{point.partition(':')[0]}"
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, count)
        crash = {"SLUICE_CRASHPOINT": point, "GROUP": group}
        async with rig.process(CONSUMER, postgres, name, bus, **crash) as child:
            assert await rig.killed(child)
        assert len(await rig.seen(db)) < count
        async with rig.running(listening(db, bus, group)):

            async def all_seen() -> None:
                assert len(await rig.seen(db)) == count

            await eventually(all_seen, timeout=30)
    rows = await rig.seen(db)
    figure("F03", count - len(rows), "lost", count)
    figure("F03_repeated", sum(row["times"] - 1 for row in rows), "deliveries", "harmless")
    assert rig.disorder(rows) == 0


async def test_a_retrying_partition_keeps_no_other_waiting(db: Database, bus: rig.Bus) -> None:
    consumers = Consumers("room-lanes")
    held = asyncio.Event()
    calls = 0

    @consumers.consume(IntegrationConnected)
    async def on_connected(event: IntegrationConnected, deps: Database) -> None:
        nonlocal calls
        if event.integration_id == "key-0" and not held.is_set():
            calls += 1
            raise ConnectionError("down for this one only")
        await rig.see(event, deps)

    keys = 30
    component = create_consumer_component(consumers, db, db, bus, backoff=QUICK)
    async with rig.running(Relay(db, "auth", bus), component):
        await rig.write_events(db, 20 * keys, keys=keys)
        records = await rig.everything(bus)
        stuck = next(record.partition for record in records if record.key == b"key-0")
        others = {record.key.decode() for record in records if record.partition != stuck}

        async def others_done() -> None:
            done = [row for row in await rig.seen(db) if row["key"] in others]
            assert len(done) == 20 * len(others)

        await eventually(others_done, timeout=20)
        assert calls > 1
        assert not [row for row in await rig.seen(db) if row["key"] == "key-0"]
        held.set()

        async def all_done() -> None:
            assert len(await rig.seen(db)) == 20 * keys

        await eventually(all_done, timeout=20)
    assert rig.disorder(await rig.seen(db)) == 0
    assert await list_dead_letters(db) == []


async def test_a_database_that_is_away_pauses_consumers_and_parks_nothing(bus: rig.Bus) -> None:
    with temporary_state() as state:
        cluster = Postgres(state, free_port())
        process = Running(cluster.spec(), state.logs)
        process.start()
        try:
            name = await rig.new_database(cluster, ["auth"])
            async with rig.service_database(cluster, "auth", name) as db:
                await _survives(process, db, bus)
        finally:
            process.stop()


async def _survives(process: Running, db: Database, bus: rig.Bus) -> None:
    """Killed under load, and once more while nothing but the retries run; messages come in all the while."""
    sent = 0
    async with rig.running(listening(db, bus, "room-away"), Relay(db, "auth", bus)), rig.producer_to(bus) as producer:

        async def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                sent += 1
                event = rig.connected(f"key-{sent % 7}", sent)
                body = msgspec.json.encode(event)
                await producer.send(rig.TOPIC, body, key=event.key.encode(), headers=rig.headers())
            await producer.flush()

        await send(200)
        await eventually(lambda: _seen_some(db), timeout=20)
        process.kill()
        await send(200)
        paused = counted("pause")
        await eventually(lambda: counted("pause") > paused + 5)
        await asyncio.to_thread(process.start)
        await send(200)

        async def all_seen() -> None:
            assert len(await rig.seen(db)) == sent

        await eventually(all_seen, timeout=30)
    assert await list_dead_letters(db) == []
    assert rig.disorder(await rig.seen(db)) == 0


async def _seen_some(db: Database) -> bool:
    return len(await rig.seen(db)) > 20


def counted(outcome: str) -> float:
    return value("consumer_failures_total", consumer="sluice-room-away", disposition=outcome)


async def test_a_letter_that_an_operator_asks_for_is_replayed_by_the_running_consumer(
    db: Database, bus: rig.Bus
) -> None:
    consumers = Consumers("room-asked")
    broken = True

    @consumers.consume(IntegrationConnected)
    async def on_connected(event: IntegrationConnected, deps: Database) -> None:
        if broken:
            raise ValueError("a bug of ours")
        await rig.see(event, deps)

    component = create_consumer_component(consumers, db, db, bus, backoff=QUICK)
    async with rig.running(Relay(db, "auth", bus), component):
        await rig.write_events(db, 3)

        async def all_parked() -> None:
            assert len(await list_dead_letters(db)) == 3

        await eventually(all_parked, timeout=20)
        letters = await list_dead_letters(db)
        broken = False
        assert await ask_replay(db, [letter.id for letter in letters[:2]]) == 2

        async def two_done() -> None:
            assert len(await rig.seen(db)) == 2

        await eventually(two_done)
    assert [letter.id for letter in await list_dead_letters(db)] == [letters[2].id]
    assert {letter.workspace_id for letter in letters} == {rig.WORKSPACE}
    assert all("a bug of ours" not in letter.error for letter in letters)


async def test_a_handler_runs_in_the_trace_of_the_change(db: Database, bus: rig.Bus) -> None:
    consumers = Consumers("room-trace")
    traces: list[str | None] = []

    @consumers.consume(IntegrationConnected)
    async def on_connected(event: IntegrationConnected, deps: Database) -> None:
        traces.append(current_trace_id())

    trace = "0af7651916cd43dd8448eb211c80319c"
    component = create_consumer_component(consumers, db, db, bus, backoff=QUICK)
    async with rig.running(Relay(db, "auth", bus), component):
        with use_traceparent(f"00-{trace}-b7ad6b7169203331-01"):
            await rig.write_events(db, 1)
        await eventually(lambda: len(traces) == 1, timeout=20)
    assert traces == [trace]
    (record,) = await rig.everything(bus)
    assert [value.decode()[3:35] for key, value in record.headers if key == "traceparent"] == [trace]


async def test_a_bad_record_is_one_letter_however_often_it_comes(db: Database, bus: rig.Bus) -> None:
    body = b'{"workspace_id": 5}'
    async with rig.producer_to(bus) as producer:
        headers = rig.headers()
        for _ in range(3):
            await producer.send_and_wait(rig.TOPIC, body, partition=1, headers=headers)
        await producer.send_and_wait(rig.TOPIC, body, partition=1, headers=[("ce_id", b"\xff")])
        await producer.send_and_wait(rig.TOPIC, None, key=b"k", partition=1, headers=[])
    async with rig.running(listening(db, bus, "room-repeat")):

        async def parked() -> None:
            assert 5 in (await rig.committed(bus, "sluice-room-repeat")).values()

        await eventually(parked, timeout=20)
    letters = await list_dead_letters(db)
    assert len(letters) == 3
    assert {letter.body for letter in letters} == {body, None}
    assert (("ce_id", b"\xff"),) in {letter.headers for letter in letters}
