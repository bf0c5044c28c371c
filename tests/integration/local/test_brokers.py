"""The broker under test: what a kill takes from it, and that it is the one that was asked for."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.stack import BrokerProcess, broker_flavour


async def publish(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def end_offset(bootstrap: str, topic: str) -> int:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        place = TopicPartition(topic, 0)
        return int((await consumer.end_offsets([place]))[place])


async def cluster_and_topics(bootstrap: str) -> tuple[str, list[str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return (await admin.describe_cluster())["cluster_id"], await admin.list_topics()
    finally:
        await admin.close()


async def test_session_broker_takes_and_counts_messages(kafka: str) -> None:
    await publish(kafka, "brokers.counted", b"1")
    assert await end_offset(kafka, "brokers.counted") == 1


async def test_broker_that_returns_empty_is_another_cluster_on_the_same_port(broker_process: BrokerProcess) -> None:
    bootstrap = broker_process.bootstrap
    await publish(bootstrap, "brokers.lost", b"1")
    before, topics = await cluster_and_topics(bootstrap)
    assert "brokers.lost" in topics
    broker_process.kill()
    broker_process.start(empty=True)
    after, topics = await cluster_and_topics(bootstrap)
    assert broker_process.bootstrap == bootstrap
    assert after != before
    assert "brokers.lost" not in topics


async def test_broker_is_the_one_asked_for_and_tells_its_version(broker_process: BrokerProcess) -> None:
    assert broker_process.flavour == broker_flavour()
    assert broker_process.version == {"embedded": "0.6.0", "kafka": "4.1.0"}[broker_flavour()]
