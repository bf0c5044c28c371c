"""A broker that returns empty, also when its log has filled up again meanwhile, loses nothing (DESIGN rule 6)."""

import asyncio
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from libs.common.bus.broker import ensure_topics
from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.bus.metadata import BrokerView
from libs.common.database.engine import Database
from libs.common.errors import ConfigurationError
from libs.common.events import BY_NAME, IntegrationConnected
from libs.common.outbox.relay import Relay
from libs.common.testing.eventually import eventually
from tests.integration.bus import rig
from tests.support.figures import Tell
from tests.support.stack import BrokerProcess

COUNT = 120
FOREIGN = 300


async def published(db: Database) -> None:
    async def all_sent() -> None:
        assert await rig.unpublished(db) == 0

    await eventually(all_sent, timeout=30)


async def return_empty(broker: BrokerProcess) -> None:
    broker.kill()
    await asyncio.to_thread(broker.start, empty=True)


async def refill(bus: rig.Bus) -> None:
    """More records than the log held before it was lost, so that every stored offset exists again."""
    await ensure_topics(bus.kafka_bootstrap_servers, [BY_NAME[rig.TOPIC]])
    async with rig.producer_to(bus) as producer:
        for number in range(FOREIGN):
            await producer.send(rig.TOPIC, b"{}", key=b"%d" % number, headers=[("foreign", b"1")])
        await producer.flush()


async def present(db: Database, bus: rig.Bus) -> int:
    """How many of the outbox's events the broker holds now."""
    records = [record for record in await rig.everything(bus) if ("foreign", b"1") not in record.headers]
    return len(await rig.event_ids(db) & set(rig.ids_of(records)))


async def test_an_empty_broker_gets_every_retained_row_again(db: Database, broker_process: BrokerProcess) -> None:
    bus = rig.bus_of(broker_process.bootstrap)
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, COUNT)
        await published(db)
        await return_empty(broker_process)

        async def all_back() -> None:
            assert await present(db, bus) == COUNT

        await eventually(all_back, timeout=30, interval=0.3)
    await published(db)
    async with db.queue() as tx:
        seqs = [row["seq"] for row in await tx.fetch_all("SELECT seq FROM outbox ORDER BY id")]
    assert seqs == list(range(1, COUNT + 1))


async def test_a_refilled_broker_gets_them_too(db: Database, broker_process: BrokerProcess) -> None:
    bus = rig.bus_of(broker_process.bootstrap)
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, COUNT)
        await published(db)
    await return_empty(broker_process)
    await refill(bus)
    assert await present(db, bus) == 0
    async with rig.running(Relay(db, "auth", bus)):

        async def all_back() -> None:
            assert await present(db, bus) == COUNT

        await eventually(all_back, timeout=30, interval=0.3)


async def test_a_topic_made_again_in_the_same_cluster_is_filled_again(db: Database, bus: rig.Bus) -> None:
    async with rig.running(Relay(db, "auth", bus)):
        await rig.write_events(db, COUNT)
        await published(db)
        await rig.fresh_topics(bus, [rig.TOPIC])
        await refill(bus)

        async def all_back() -> None:
            assert await present(db, bus) == COUNT

        await eventually(all_back, timeout=30, interval=0.3)


async def test_a_broker_lost_in_mid_stream_costs_no_effect(
    db: Database, broker_process: BrokerProcess, figure: Tell
) -> None:
    bus = rig.bus_of(broker_process.bootstrap)
    consumers = Consumers("room-memory")
    consumers.consume(IntegrationConnected)(rig.see)
    component = create_consumer_component(consumers, db, db, bus)
    async with rig.running(Relay(db, "auth", bus, batch=20), component):
        await rig.write_events(db, COUNT)

        async def some() -> bool:
            return len(await rig.seen(db)) >= COUNT // 3

        await eventually(some, timeout=20, interval=0.01)
        broker_process.kill()
        await rig.write_events(db, COUNT, first=COUNT)
        await asyncio.to_thread(broker_process.start, empty=True)
        await rig.write_events(db, COUNT, first=2 * COUNT)

        async def all_seen() -> None:
            assert len(await rig.seen(db)) == 3 * COUNT

        await eventually(all_seen, timeout=40, interval=0.2)
        await published(db)
    lost = 3 * COUNT - len(await rig.seen(db))
    figure("broker_memory", lost, "lost", 3 * COUNT)
    assert lost == 0


async def test_an_offset_that_an_old_member_commits_late_moves_nobody(
    db: Database, broker_process: BrokerProcess
) -> None:
    """A member that outlives the loss of its broker joins the new one, and commits what it read in the lost log."""
    bus = rig.bus_of(broker_process.bootstrap)
    consumers = Consumers("room-late")
    consumers.consume(IntegrationConnected)(rig.see)
    async with rig.running(Relay(db, "auth", bus), create_consumer_component(consumers, db, db, bus)):
        await rig.write_events(db, COUNT)
        await eventually(partial(_all_seen, db, COUNT), timeout=30)
        old = await rig.group_on(bus, consumers.group)
        logs = await ensure_topics(bus.kafka_bootstrap_servers, [BY_NAME[rig.TOPIC]])
    await return_empty(broker_process)
    await ensure_topics(bus.kafka_bootstrap_servers, [BY_NAME[rig.TOPIC]])
    await _commit_late(bus, old, COUNT // 2, logs[rig.TOPIC].identity)
    await rig.write_events(db, COUNT, first=COUNT)
    async with rig.running(Relay(db, "auth", bus), create_consumer_component(consumers, db, db, bus)):
        await eventually(partial(_all_seen, db, 2 * COUNT), timeout=30)


async def _all_seen(db: Database, count: int) -> None:
    assert len(await rig.seen(db)) == count


async def _commit_late(bus: rig.Bus, group: str, offset: int, log_id: str) -> None:
    member = AIOKafkaConsumer(
        rig.TOPIC, bootstrap_servers=bus.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await member.start()
    try:
        places = [TopicPartition(rig.TOPIC, number) for number in range(BY_NAME[rig.TOPIC].partitions)]
        await eventually(lambda: member.assignment() == set(places), timeout=20)
        await member.commit({place: (offset, log_id) for place in places})
    finally:
        await member.stop()


async def test_a_topic_with_other_partitions_is_refused_and_made_again_only_if_embedded(
    broker_process: BrokerProcess,
) -> None:
    """The embedded broker makes four partitions of any touched topic. Elsewhere a person made it so, and decides."""
    bus = rig.bus_of(broker_process.bootstrap)
    wanted = [BY_NAME[rig.TOPIC], BY_NAME["integration.updated"]]
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(rig.TOPIC, 4, 1)])
    await admin.close()
    with pytest.raises(ConfigurationError, match=rig.TOPIC):
        await ensure_topics(bus.kafka_bootstrap_servers, wanted)
    logs = await ensure_topics(bus.kafka_bootstrap_servers, wanted, embedded=True)
    again = await ensure_topics(bus.kafka_bootstrap_servers, wanted)
    assert {name: log.partitions for name, log in logs.items()} == {topic.name: topic.partitions for topic in wanted}
    assert logs == again


async def test_a_look_at_a_topic_does_not_make_it(kafka: str) -> None:
    view = BrokerView(kafka)
    try:
        assert await view.logs(["nobody.touched"]) == {}
        assert await view.logs(["nobody.touched"]) == {}
    finally:
        await view.close()
