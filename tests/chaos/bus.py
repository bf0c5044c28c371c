"""The embedded broker as a test needs it: what was published, what was read, and records that nobody had to send."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from libs.common.bus.broker import cluster_id, ensure_topics, group_in
from libs.common.bus.consume import Consumers
from libs.common.events.catalog import CATALOG
from libs.common.events.cloudevents import Attributes, encode, source_of
from libs.local.state import SERVICES
from tests.chaos.stack import Stack

FIELDS = "event_id, workspace_id, topic, key, payload, occurred_at, traceparent"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox row as its relay would send it again."""

    service: str
    event_id: str
    workspace_id: str
    topic: str
    key: str
    payload: bytes
    occurred_at: datetime
    traceparent: str | None


async def retained(stack: Stack, services: Sequence[str] = SERVICES) -> list[Published]:
    """Everything that was ever published and is still kept, in order."""
    found: list[Published] = []
    for service in services:
        rows = await stack.rows(f"SELECT {FIELDS} FROM {service}.outbox WHERE published_at IS NOT NULL ORDER BY id")
        found += [Published(service=service, **dict(row)) for row in rows]
    return found


async def publish(stack: Stack, events: Iterable[tuple[Published, int | None]]) -> dict[TopicPartition, int]:
    """Sends copies, each to that partition or to its key's; answers the greatest offset of each partition."""
    await ensure_topics(stack.endpoints.kafka, CATALOG, embedded=True)
    producer = AIOKafkaProducer(bootstrap_servers=stack.endpoints.kafka, acks="all")
    await producer.start()
    try:
        acks = [await sent for sent in [await _send(producer, *event) for event in events]]
    finally:
        await producer.stop()
    ends: dict[TopicPartition, int] = {}
    for ack in acks:
        place = TopicPartition(ack.topic, ack.partition)
        ends[place] = max(ack.offset, ends.get(place, -1))
    return ends


async def _send(producer: AIOKafkaProducer, event: Published, partition: int | None) -> Awaitable[RecordMetadata]:
    about = Attributes(
        id=event.event_id, source=source_of(event.service), type=event.topic, time=event.occurred_at,
        subject=event.key, traceparent=event.traceparent,
    )  # fmt: skip
    sent: Awaitable[RecordMetadata] = await producer.send(
        event.topic, event.payload, key=event.key.encode(), headers=encode(about), partition=partition
    )
    return sent


async def acknowledged(stack: Stack) -> dict[TopicPartition, int]:
    """The greatest offset of each partition that a relay holds for acknowledged."""
    found: dict[TopicPartition, int] = {}
    for service in SERVICES:
        for row in await stack.rows(f"SELECT topic, kafka_partition, last_offset FROM {service}.relay_log"):
            found[TopicPartition(row["topic"], row["kafka_partition"])] = row["last_offset"]
    return found


async def assert_all_read(stack: Stack, ends: Mapping[TopicPartition, int]) -> None:
    """Each service has finished what it listens to, up to and with these offsets."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.endpoints.kafka)
    try:
        await admin.start()
        cluster = await cluster_id(stack.endpoints.kafka)
        for service in SERVICES:
            wanted = {place: end for place, end in ends.items() if place.topic in listened(service).routes}
            group = group_in(listened(service).group, cluster, stack.endpoints.kafka_flavour)
            done = await admin.list_consumer_group_offsets(group, partitions=list(wanted))
            behind = {place: end for place, end in wanted.items() if done[place].offset <= end}
            assert not behind, f"{service} has not read {behind}"
    except KafkaError as error:
        raise AssertionError(f"the broker does not answer: {error!r}") from error
    finally:
        await admin.close()


def listened(service: str) -> Consumers:
    found: Consumers = importlib.import_module(f"services.{service}.consumers").consumers
    return found
