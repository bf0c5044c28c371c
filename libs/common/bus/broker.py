"""How to connect to the broker, and that every topic of the catalogue is there before anyone touches it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from libs.common.bus.metadata import BrokerView, Log
from libs.common.errors import ConfigurationError
from libs.common.events.catalog import Topic
from libs.common.telemetry.logging import get_logger

log = get_logger(__name__)

HOUR_MS = 3_600_000
REPLICAS = 3
# Handlers may retry for as long as they must: a slow one is told by a metric, not by the group throwing its member out.
MAX_POLL_INTERVAL_MS = HOUR_MS
CREATE_TRIES = 40
CREATE_WAIT = 0.25


class BusSettings(Protocol):
    """What this room reads of a service's settings."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...
    @property
    def kafka_flavour(self) -> str: ...


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds until a silent member's partitions go to another one, and between its signs of life."""

    session_ms: int
    heartbeat_ms: int


# The embedded broker keeps a killed member's messages back for a whole session: 18 s at the usual 10 s.
TIMINGS = {"embedded": Timing(1500, 300), "kafka": Timing(6000, 500)}


def consumer_options(settings: BusSettings, timing: Timing | None = None) -> dict[str, Any]:
    """For FastStream's subscriber. A replica that has a name (group_instance_id) restarts without a rebalance."""
    chosen = timing or _timing(settings)
    instance = getattr(settings, "kafka_group_instance_id", "")
    return {
        "auto_offset_reset": "earliest",
        "session_timeout_ms": chosen.session_ms,
        "heartbeat_interval_ms": chosen.heartbeat_ms,
        "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
        "rebalance_timeout_ms": max(10_000, chosen.session_ms),
        "fetch_max_wait_ms": 250,
        **({"group_instance_id": instance} if instance else {}),
    }


def _timing(settings: BusSettings) -> Timing:
    session = int(getattr(settings, "kafka_session_timeout_ms", 0))
    return Timing(session, max(300, session // 10)) if session else TIMINGS[settings.kafka_flavour]


def producer_options(settings: BusSettings) -> dict[str, Any]:
    """Only the real Kafka knows idempotent producers; the embedded broker refuses them."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "acks": "all",
        "enable_idempotence": settings.kafka_flavour == "kafka",
        "request_timeout_ms": 5000,
        "retry_backoff_ms": 500,
        "linger_ms": 2,
        "max_batch_size": 128 * 1024,  # what a round of the relay has for one partition is one request or two
        "metadata_max_age_ms": 30_000,
    }


def group_in(group: str, cluster: str, flavour: str) -> str:
    """The embedded broker drops what is committed beside an offset, so there a group's name says of which cluster its
    offsets are: a member that outlives its broker and commits late moves nobody in the new one.
    """
    return f"{group}@{cluster}" if flavour == "embedded" else group


async def cluster_id(bootstrap: str) -> str:
    view = BrokerView(bootstrap)
    try:
        return await view.cluster_id()
    finally:
        await view.close()


async def ensure_topics(bootstrap: str, catalog: Sequence[Topic], *, embedded: bool = False) -> dict[str, Log]:
    """Answers the log of each topic, all present with the catalogue's partitions. Raises KafkaError while it cannot.

    The embedded broker makes any topic that is touched, with four partitions, and then refuses to create it:
    there, and only there, such a topic is deleted and created again; its owner's relay publishes what it held.
    """
    view, admin = BrokerView(bootstrap), AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    try:
        await admin.start()
        for _ in range(CREATE_TRIES):
            found = await view.logs([topic.name for topic in catalog])
            wrong = [topic for topic in catalog if _wrong(topic, found)]
            missing = [topic for topic in catalog if topic.name not in found]
            if not wrong and not missing:
                return found
            if wrong:
                await _remove(admin, wrong, found, embedded)
            await _create(admin, [*missing, *wrong])
            await asyncio.sleep(CREATE_WAIT)
        raise KafkaError("the topics of the catalogue did not appear")
    finally:
        await view.close()
        await admin.close()


def _wrong(topic: Topic, found: dict[str, Log]) -> bool:
    return topic.name in found and found[topic.name].partitions != topic.partitions


async def _remove(admin: AIOKafkaAdminClient, wrong: Sequence[Topic], found: dict[str, Log], embedded: bool) -> None:
    if not embedded:
        first = wrong[0]
        raise ConfigurationError(
            f"topic {first.name} has {found[first.name].partitions} partitions and the catalogue says "
            f"{first.partitions}: the order of a key depends on it, so change it by hand"
        )
    log.warning("topics_recreated", topics=[topic.name for topic in wrong])
    answer = await admin.delete_topics([topic.name for topic in wrong])
    for name, code, *_ in answer.topic_error_codes:
        _accept(for_code(code), name, UnknownTopicOrPartitionError)


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    brokers = (await admin.describe_cluster())["brokers"]
    replicas = min(REPLICAS, len(brokers))
    answer = await admin.create_topics([_new(topic, replicas) for topic in topics])
    for name, code, *_ in answer.topic_errors:
        _accept(for_code(code), name, TopicAlreadyExistsError)


def _new(topic: Topic, replicas: int) -> NewTopic:
    configs = {"retention.ms": str(topic.retention_hours * HOUR_MS)}
    if replicas >= REPLICAS:
        configs["min.insync.replicas"] = str(REPLICAS - 1)
    return NewTopic(topic.name, topic.partitions, replicas, topic_configs=configs)


def _accept(error: type[Exception], name: str, harmless: type[KafkaError]) -> None:
    """Another process does the same at the same time: what it did before us is no failure."""
    if error is not NoError and not issubclass(error, harmless):
        raise error(name)
