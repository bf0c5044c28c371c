"""What one consumer does with one record: decode, call, call again, and park what only a repair can help."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec
from opentelemetry.trace import Span, SpanKind

from libs.common.bus.dead_letters import Parked, park
from libs.common.bus.pausing import pause
from libs.common.bus.policy import STANDARD, Backoff, decide, disposition_of, error_code
from libs.common.bus.record import Record
from libs.common.database.engine import Database
from libs.common.errors import Disposition, UnreadableMessage
from libs.common.events.cloudevents import Attributes, decode
from libs.common.events.event import Event
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.spans import Value
from libs.common.telemetry.tracing import span, use_traceparent

log = get_logger(__name__)

E = TypeVar("E", bound=Event)
Handler = Callable[[E, Any], Awaitable[None]]
ManyHandler = Callable[[Sequence[E], Any], Awaitable[None]]

MOST_TOGETHER = 100

_failures = counter(
    "consumer_failures_total", "Failed calls of handlers by what was decided", ["consumer", "disposition"]
)
_outcomes = counter("consumed_total", "Messages by what became of them", ["consumer", "topic", "outcome"])


class Closing(Exception):
    """No failure: the partition leaves us before the record is finished, so its offset must not be committed."""


class Route(msgspec.Struct, frozen=True):
    """One topic of a consumer. `together` takes what has come of a partition by now in one call."""

    event: type[Event]
    handler: Handler[Any]
    decoder: msgspec.json.Decoder[Any]
    together: ManyHandler[Any] | None = None


class Message(msgspec.Struct, frozen=True):
    event: Event
    attributes: Attributes
    handler: Handler[Any]


def read(record: Record, routes: Mapping[str, Route]) -> Message:
    """Raises UnreadableMessage, which never quotes the bytes."""
    attributes = decode(record.headers)
    if attributes.type != record.topic:
        raise UnreadableMessage("ce_type is not the topic's")
    if not record.value:
        raise UnreadableMessage("the body is empty")
    route = routes[record.topic]
    try:
        return Message(route.decoder.decode(record.value), attributes, route.handler)
    except msgspec.ValidationError as error:
        raise UnreadableMessage(f"the body does not fit {route.event.__name__}{_field(error)}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableMessage("the body is not JSON") from error


class Delivery:
    """Brings records to an end, one at a time for each partition, and answers only then."""

    def __init__(
        self, consumer: str, routes: Mapping[str, Route], deps: Any, db: Database, backoff: Backoff = STANDARD
    ) -> None:
        self._consumer = consumer
        self._routes = routes
        self._deps = deps
        self._db = db
        self._backoff = backoff

    def most_together(self, topic: str) -> int:
        """How many records of this topic one call may take."""
        return MOST_TOGETHER if self._routes[topic].together else 1

    async def finish_many(self, records: Sequence[Record]) -> bool:
        """One call for all of them. False when one is unreadable or the call fails: nothing is decided by that, each is
        then finished alone, so that a bad record takes no other along.
        """
        topic = records[0].topic
        together = self._routes[topic].together
        if together is None or len(records) == 1:
            return False
        try:
            messages = [read(record, self._routes) for record in records]
            await together([message.event for message in messages], self._deps)
        except Exception as error:  # the one policy decides, when each is called alone
            log.info("batch_taken_apart", consumer=self._consumer, topic=topic, count=len(records), exc_info=error)
            return False
        for record, message in zip(records, messages, strict=True):
            with use_traceparent(message.attributes.traceparent), _span(self._consumer, record, message):
                pass  # each trace tells that its event arrived
        _outcomes.labels(self._consumer, topic, "handled").inc(len(records))
        return True

    async def finish(self, record: Record, log_id: str, closing: asyncio.Event) -> None:
        """Returns when the record is handled, known as harmless, or parked. Raises Closing if told to stop before."""
        try:
            message = read(record, self._routes)
        except UnreadableMessage as error:
            event_id = _event_id(record)
            about = Parked(
                consumer=self._consumer, log_id=log_id, event_id=event_id, workspace_id="", error=error, attempts=0
            )
            await self._park(record, about, closing)
            return
        with use_traceparent(message.attributes.traceparent), _span(self._consumer, record, message):
            await self._call(record, message, log_id, closing)

    async def _call(self, record: Record, message: Message, log_id: str, closing: asyncio.Event) -> None:
        failures: Counter[Disposition] = Counter()
        while True:
            try:
                await message.handler(message.event, self._deps)
            except Exception as error:  # the kernel's one policy: every failure of a handler is decided in one place
                failures[disposition_of(error)] += 1
                decision = decide(error, failures[disposition_of(error)], self._backoff)
                self._tell(record, message, error, decision.disposition)
                if decision.disposition is Disposition.ACK:
                    break
                if decision.disposition is Disposition.PARK:
                    about = self._about(message, log_id, error, failures.total())
                    await self._park(record, about, closing)
                    return
                if await pause(decision.after, closing):
                    raise Closing from error
            else:
                break
        _outcomes.labels(self._consumer, record.topic, "ack" if failures.total() else "handled").inc()

    async def _park(self, record: Record, about: Parked, closing: asyncio.Event) -> None:
        """Tried for ever: a message that is neither handled nor parked must hold its partition, or it is lost."""
        attempt = 0
        while True:
            attempt += 1
            try:
                letter = await park(self._db, record, about)
            except Exception as error:  # whatever keeps a row from being written, passing the message would lose it
                log.error("park_failed", consumer=self._consumer, topic=record.topic, attempt=attempt, exc_info=error)
                if await pause(self._backoff.after(attempt), closing):
                    raise Closing from error
            else:
                break
        _outcomes.labels(self._consumer, record.topic, "parked").inc()
        log.error(
            "message_parked", consumer=self._consumer, topic=record.topic, partition=record.partition,
            offset=record.offset, dead_letter_id=letter, code=error_code(about.error), attempts=about.attempts,
        )  # fmt: skip

    def _about(self, message: Message, log_id: str, error: BaseException, attempts: int) -> Parked:
        return Parked(
            consumer=self._consumer,
            log_id=log_id,
            event_id=message.attributes.id,
            workspace_id=message.event.workspace_id,
            error=error,
            attempts=attempts,
        )

    def _tell(self, record: Record, message: Message, error: Exception, disposition: Disposition) -> None:
        _failures.labels(self._consumer, disposition.value).inc()
        tell = log.info if disposition is Disposition.ACK else log.warning
        known = {"consumer": self._consumer, "topic": record.topic, "event_id": message.attributes.id}
        tell("handler_failed", **known, disposition=disposition.value, exc_info=error)


def _event_id(record: Record) -> str:
    """Of a record whose body cannot be read, so that it is one letter however often it is published."""
    try:
        return decode(record.headers).id
    except UnreadableMessage:
        return ""


def _span(consumer: str, record: Record, message: Message) -> AbstractContextManager[Span]:
    about: dict[str, Value | None] = {
        "messaging.system": "kafka",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.id": message.attributes.id,
        "messaging.consumer.group.name": consumer,
        "workspace_id": message.event.workspace_id,
    }
    return span(f"consume {record.topic}", SpanKind.CONSUMER, **about)


def _field(error: msgspec.ValidationError) -> str:
    """The place that msgspec names (`$.version`), of which keys of a free-form object could be anyone's text."""
    place = str(error).rpartition("`$.")[2].rstrip("`")
    return f" at {place}" if place and place.replace(".", "").replace("_", "").isalpha() and len(place) < 80 else ""
