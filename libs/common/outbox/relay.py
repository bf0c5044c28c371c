"""The one relay of a service: outbox rows to Kafka, in order, at least once, from whatever broker there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.bus.broker import BusSettings, ensure_topics, producer_options
from libs.common.bus.metadata import BrokerView, Log
from libs.common.bus.pausing import pause
from libs.common.database.engine import Database
from libs.common.errors import DependencyDown, LeaseLost
from libs.common.events.catalog import CATALOG, Topic
from libs.common.events.cloudevents import source_of
from libs.common.ids import new_id
from libs.common.outbox import rows
from libs.common.outbox.lease import Lease, take_lease
from libs.common.outbox.memory import ends_after, topics_acked_too_low, topics_of_other_logs, topics_that_shrank
from libs.common.outbox.publishing import publish
from libs.common.outbox.rows import Ack, Known, OutboxRow, Place
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter, gauge
from libs.common.testing.crashpoints import crashpoint

log = get_logger(__name__)

BATCH = 2000
LEASE_SECONDS = 3.0
POLL = 0.2
GATHER = 0.1  # a round costs the same for one event as for a thousand: what comes meanwhile goes out together
LOOK_EVERY = 1.0
DROP_EVERY = 60.0
RECONNECT_AFTER = 0.5
LAST_ROUNDS_WITHIN = 5.0

_published = counter("outbox_published_total", "Rows acknowledged by the broker", ["service"])
_republished = counter("outbox_republished_total", "Rows made unpublished because a log was lost", ["service"])
_oldest = gauge("outbox_oldest_seconds", "Age of the oldest row that waits for the relay", ["service"])


class BrokerForgot(Exception):
    """A situation with its own way on, not an error to report: these topics no longer hold what they acknowledged."""

    def __init__(self, topics: set[str]) -> None:
        super().__init__(f"{len(topics)} topics")
        self.topics = topics


class Relay:
    """Any number of processes may run one; the lease lets one work."""

    name = "relay"
    kind: Literal["relay"] = "relay"

    def __init__(self, db: Database, service: str, settings: BusSettings, *, batch: int = BATCH) -> None:
        self._db = db
        self._service = service
        self._settings = settings
        self._batch = batch
        self._owner = f"{service}-{new_id()}"
        self._topics: tuple[Topic, ...] = tuple(topic for topic in CATALOG if topic.owner == service)
        self._view = BrokerView(settings.kafka_bootstrap_servers)
        self._known: dict[Place, Known] = {}
        self._logs: dict[str, Log] = {}

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                try:
                    lease = await take_lease(self._db, self._owner, LEASE_SECONDS)
                    if lease is not None:
                        await self._serve(lease, stop)
                except (LeaseLost, DependencyDown) as error:
                    log.warning("relay_interrupted", code=error.code)
                await pause(RECONNECT_AFTER, stop)
        finally:
            await self._view.close()

    async def _serve(self, lease: Lease, stop: asyncio.Event) -> None:
        """Until told to stop, or the term is over. What a broker does ends nothing: it is asked again."""
        log.info("relay_started", epoch=lease.epoch)
        beating = asyncio.create_task(_beat(lease), name="relay lease")
        working = asyncio.create_task(self._work(lease, stop), name="relay work")
        try:
            done, _ = await asyncio.wait({beating, working}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            beating.cancel()
            working.cancel()
            await asyncio.gather(beating, working, return_exceptions=True)
        await lease.release()

    async def _work(self, lease: Lease, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._connected(lease, stop)
            except BrokerForgot as lost:
                count = await rows.forget(self._db, lease, lost.topics)
                _republished.labels(self._service).inc(count)
                log.warning("broker_forgot", topics=sorted(lost.topics), rows=count)
            except KafkaError as error:
                log.warning("broker_away", error_type=type(error).__name__)
                await pause(RECONNECT_AFTER, stop)

    async def _connected(self, lease: Lease, stop: asyncio.Event) -> None:
        """One producer's life. It ends with the first failure: topics are made sure of before the next one begins."""
        self._logs = await ensure_topics(
            self._settings.kafka_bootstrap_servers, self._topics, embedded=self._settings.kafka_flavour == "embedded"
        )
        producer = AIOKafkaProducer(**producer_options(self._settings))
        try:
            await producer.start()
            self._known = await rows.known_logs(self._db)
            await self._compare()
            await self._pump(lease, producer, stop)
            await self._last_rounds(lease, producer)
        finally:
            with suppress(KafkaError, TimeoutError):  # the rows of an unsent batch are unpublished: they go out again
                async with asyncio.timeout(2):
                    await producer.stop()

    async def _pump(self, lease: Lease, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        looked = dropped = time.monotonic()
        batch: Sequence[OutboxRow] = ()
        while not stop.is_set():
            poked = self._db.outbox_written.is_set()
            self._db.outbox_written.clear()
            if not batch and (poked or await rows.any_waiting(self._db)):
                batch = await rows.pick(self._db, lease, self._batch)
            if batch:
                batch = await self._round(lease, producer, batch)
                if not batch:
                    await pause(GATHER, stop)
            now = time.monotonic()
            if now - looked > LOOK_EVERY:
                looked = now
                await self._compare()
                await self._measure()
            if now - dropped > DROP_EVERY:
                dropped = now
                await self._drop_old()
            if not batch:
                await _first_of(POLL, stop, self._db.outbox_written)

    async def _last_rounds(self, lease: Lease, producer: AIOKafkaProducer) -> None:
        """What the other components wrote while they ended goes out before the process does, if the broker is quick."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ROUNDS_WITHIN):
                batch: Sequence[OutboxRow] = await rows.pick(self._db, lease, self._batch)
                while batch:
                    batch = await self._round(lease, producer, batch) or await rows.pick(self._db, lease, self._batch)

    async def _round(self, lease: Lease, producer: AIOKafkaProducer, batch: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Publishes the batch; after a whole one it answers the next, picked in the transaction that marks this one."""
        crashpoint("relay.picked")
        acks, failure = await publish(producer, batch, self._logs, source_of(self._service))
        crashpoint("relay.acked")
        following = await self._record(lease, acks, more=len(batch) >= self._batch) if acks else ()
        crashpoint("relay.marked")
        _published.labels(self._service).inc(len(acks))
        if failure is not None:
            raise failure
        return following

    async def _record(self, lease: Lease, acks: Sequence[Ack], *, more: bool) -> Sequence[OutboxRow]:
        """The logs are looked at after the acks while the rows are marked: the commit waits for the answer."""
        ends = ends_after(acks, self._logs)
        looking = asyncio.create_task(self._look(acks), name="relay look")
        try:
            following = await rows.mark_and_pick(
                self._db, lease, acks, ends, self._logs[acks[0].row.topic].cluster_id, confirmed=looking,
                batch=self._batch if more else 0,
            )  # fmt: skip
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        self._known |= ends
        return following

    async def _look(self, acks: Sequence[Ack]) -> None:
        """Logs that are still what they were before have acknowledged; the others are compared by the next look."""
        touched = {ack.row.topic for ack in acks}
        logs = await self._view.logs(touched)
        lost = {topic for topic in touched if logs.get(topic) != self._logs[topic]}
        known = {place: past for place, past in self._known.items() if place[0] in touched}
        lost |= topics_of_other_logs(known, logs) or topics_acked_too_low(known, acks)
        if lost:
            raise BrokerForgot(lost)

    async def _compare(self) -> None:
        """Also while nothing is published: a broker that returned empty must be filled before anyone asks."""
        known = self._known
        if not known:
            return
        lost = topics_of_other_logs(known, await self._view.logs([topic.name for topic in self._topics]))
        if not lost and self._settings.kafka_flavour == "kafka":
            # The embedded broker answers one past the first record of the last batch, and has no tail to lose.
            partitions = {topic: [place[1] for place in known if place[0] == topic] for topic, _ in known}
            lost = topics_that_shrank(known, await self._view.ends(partitions))
        if lost:
            raise BrokerForgot(lost)

    async def _measure(self) -> None:
        async with self._db.queue() as tx:
            _oldest.labels(self._service).set(await rows.oldest_waiting(tx))

    async def _drop_old(self) -> None:
        for topic in self._topics:
            await rows.drop_old(self._db, topic.name, topic.retention_hours)


async def _beat(lease: Lease) -> None:
    """Extends the term while a batch is under way; ends with LeaseLost, or with the database out of reach."""
    while True:
        await asyncio.sleep(lease.seconds / 4)
        await lease.extend()


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
