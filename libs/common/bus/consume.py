"""The one way to subscribe: `@consumers.consume(SomethingHappened)` above a function that writes what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from fast_depends.msgspec import MsgSpecSerializer
from faststream import AckPolicy, Context
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage

from libs.common.bus.broker import BusSettings, Timing, consumer_options, ensure_topics, group_in
from libs.common.bus.dead_letters import replay_asked
from libs.common.bus.delivery import Delivery, E, Handler, ManyHandler, Route, read
from libs.common.bus.lanes import Lanes
from libs.common.bus.metadata import BrokerView
from libs.common.bus.pausing import pause
from libs.common.bus.policy import STANDARD, Backoff, disposition_of
from libs.common.bus.record import Record
from libs.common.database.engine import Database
from libs.common.errors import DependencyDown, Disposition, UnreadableMessage
from libs.common.events.catalog import BY_NAME, topic_of
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import gauge
from libs.common.telemetry.tracing import use_traceparent

log = get_logger(__name__)

LOOK_EVERY = 1.0
RECONNECT_AFTER = 1.0
BROKER_STOPS_WITHIN = 5.0
JOINS_WITHIN = 60.0

_in_hand = gauge("consumer_longest_in_hand_seconds", "How long the slowest handler has held its message", ["consumer"])


class Consumers:
    """What a service listens to: one handler a topic."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.group = f"sluice-{service}"
        self.routes: dict[str, Route] = {}

    def consume(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """The handler gets the event and the service's deps; it writes rows and never calls a provider."""

        def register(handler: Handler[E]) -> Handler[E]:
            self._route(event, handler, None)
            return handler

        return register

    def consume_many(self, event: type[E]) -> Callable[[ManyHandler[E]], ManyHandler[E]]:
        """For handlers that only write rows, and for whom a repeat is harmless: what has come of a partition by now is
        one call, in order. When that fails, each event is given to the handler alone.
        """

        def register(handler: ManyHandler[E]) -> ManyHandler[E]:
            async def alone(event: E, deps: Any) -> None:
                await handler((event,), deps)

            self._route(event, alone, handler)
            return handler

        return register

    def _route(self, event: type[E], handler: Handler[E], together: ManyHandler[E] | None) -> None:
        topic = topic_of(event).name
        if topic in self.routes:
            raise ValueError(f"{self.service} has a handler for {topic} already")
        self.routes[topic] = Route(event, handler, msgspec.json.Decoder(event), together)

    async def try_once(self, record: Record, deps: Any) -> Exception | None:
        """One call, for a replay. A dependency that is down raises DependencyDown: that says nothing of the message."""
        try:
            if record.topic not in self.routes:
                raise UnreadableMessage("nobody here listens to its topic any more")
            message = read(record, self.routes)
            with use_traceparent(message.attributes.traceparent):
                await message.handler(message.event, deps)
        except DependencyDown:
            raise
        except Exception as error:  # the same policy as for a fresh message: expected refusals count as done
            return None if disposition_of(error) is Disposition.ACK else error
        return None


def create_consumer_component(
    consumers: Consumers,
    deps: Any,
    db: Database,
    settings: BusSettings,
    *,
    backoff: Backoff = STANDARD,
    timing: Timing | None = None,
) -> ConsumerComponent:
    return ConsumerComponent(consumers, deps, db, settings, backoff, timing)


class ConsumerComponent:
    """One member of the service's group, joined anew whenever the broker is not the one it was."""

    name = "consumers"
    kind: Literal["consumers"] = "consumers"

    def __init__(
        self,
        consumers: Consumers,
        deps: Any,
        db: Database,
        settings: BusSettings,
        backoff: Backoff,
        timing: Timing | None,
    ) -> None:
        self._consumers = consumers
        self._deps = deps
        self._db = db
        self._settings = settings
        self._timing = timing
        self._delivery = Delivery(consumers.group, consumers.routes, deps, db, backoff)
        self._lanes: Lanes | None = None

    @property
    def assigned(self) -> set[TopicPartition]:
        """The partitions that this process serves right now."""
        return self._lanes.assigned if self._lanes else set()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._serve(stop)
            except (KafkaError, TimeoutError) as error:
                log.warning("broker_away", consumer_group=self._consumers.group, error_type=type(error).__name__)
                await pause(RECONNECT_AFTER, stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        """Until told to stop, or until a topic's log is another one."""
        topics = [BY_NAME[name] for name in self._consumers.routes]
        bootstrap = self._settings.kafka_bootstrap_servers
        logs = await ensure_topics(bootstrap, topics, embedded=self._settings.kafka_flavour == "embedded")
        log_ids = {name: found.identity for name, found in logs.items()}
        # One answer about all topics: they are of one cluster.
        cluster = next(iter(logs.values())).cluster_id
        group = group_in(self._consumers.group, cluster, self._settings.kafka_flavour)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
        lanes = Lanes(self._delivery, log_ids, self._consumers.group, _committed_by(admin, group))
        broker = self._broker(lanes, group)
        try:
            await admin.start()
            async with asyncio.timeout(JOINS_WITHIN):  # a broker that dies now would be waited for without end
                await broker.start()
            self._lanes = lanes
            log.info("consumers_started", consumer_group=self._consumers.group, topic_count=len(topics))
            await self._watch(stop, lanes, log_ids)
        finally:
            self._lanes = None
            await lanes.close()
            with suppress(TimeoutError):  # a broker that is away cannot be told goodbye
                async with asyncio.timeout(BROKER_STOPS_WITHIN):
                    await broker.stop()
            await admin.close()

    def _broker(self, lanes: Lanes, group: str) -> KafkaBroker:
        """No producer, no topic of its own making, no decoding: bytes in, bytes handed to a lane."""
        broker = KafkaBroker(
            self._settings.kafka_bootstrap_servers,
            client_id=f"sluice-{self._consumers.service}",
            consumer_only=True,
            allow_auto_create_topics=False,
            serializer=MsgSpecSerializer(),
            retry_backoff_ms=500,
            metadata_max_age_ms=30_000,
            request_timeout_ms=10_000,
            graceful_timeout=BROKER_STOPS_WITHIN,
            logger=None,
        )
        subscriber = broker.subscriber(
            *self._consumers.routes,
            group_id=group,
            ack_policy=AckPolicy.MANUAL,
            listener=lanes,
            parser=_keep_bytes,
            decoder=_keep_body,
            no_reply=True,
            **consumer_options(self._settings, self._timing),
        )
        lanes.consumer = lambda: subscriber.consumer

        async def receive(message: Annotated[Any, Context("message")]) -> None:
            lanes.receive(message.raw_message)

        subscriber(receive)
        return broker

    async def _watch(self, stop: asyncio.Event, lanes: Lanes, log_ids: Mapping[str, str]) -> None:
        view = BrokerView(self._settings.kafka_bootstrap_servers)
        try:
            while not await pause(LOOK_EVERY, stop):
                _in_hand.labels(self._consumers.service).set(lanes.longest_in_hand())
                await self._replay()
                if lanes.broken() or await _is_another(view, log_ids):
                    log.warning("consumers_join_anew", consumer_group=self._consumers.group)
                    return
        finally:
            await view.close()

    async def _replay(self) -> None:
        try:
            replayed = await replay_asked(self._db, self._consumers, self._deps)
        except DependencyDown:
            return  # asked again at the next look
        if replayed.done or replayed.failed:
            log.info("dead_letters_replayed", count=len(replayed.done), failed=len(replayed.failed))


async def _is_another(view: BrokerView, log_ids: Mapping[str, str]) -> bool:
    """A broker that is away is not another one: its members wait for it."""
    try:
        logs = await view.logs(list(log_ids))
    except KafkaError:
        return False
    return any(name not in logs or logs[name].identity != known for name, known in log_ids.items())


def _committed_by(admin: AIOKafkaAdminClient, group: str) -> Any:
    async def committed(partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, OffsetAndMetadata]:
        found: Mapping[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
            group, partitions=list(partitions)
        )
        return found

    return committed


async def _keep_bytes(record: Record) -> KafkaAckableMessage:
    """FastStream's parser decodes headers, and a bad one would lose the record before any of our code sees it."""
    return KafkaAckableMessage(
        body=record.value or b"", headers={}, raw_message=record, consumer=FAKE_CONSUMER, message_id=str(record.offset)
    )


async def _keep_body(message: KafkaAckableMessage) -> bytes:
    return bytes(message.body)
