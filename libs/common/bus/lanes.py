"""One lane a partition: records of a partition wait for each other, partitions never do.

FastStream hands records over one after another; its own way of running partitions side by side is one group member for
each, and a rebalance for each. Here one member feeds a lane per partition.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from libs.common.bus.delivery import Closing, Delivery
from libs.common.bus.offsets import Offsets
from libs.common.bus.pausing import pause
from libs.common.bus.record import Record
from libs.common.telemetry.logging import get_logger
from libs.common.testing.crashpoints import crashpoint

log = get_logger(__name__)

MOST_WAITING = 200
RESUME_AT = 50
ASK_AGAIN_AFTER = 0.5
GRACE = 10.0
COMMIT_GRACE = 2.0
Committed = Callable[[Iterable[TopicPartition]], "asyncio.Future[Mapping[TopicPartition, OffsetAndMetadata]]"]


class Lane:
    """The records of one partition, in order, for as long as it is assigned to us."""

    def __init__(
        self,
        partition: TopicPartition,
        log_id: str,
        consumer: AIOKafkaConsumer,
        delivery: Delivery,
        offsets: Offsets,
    ) -> None:
        self._partition = partition
        self._log_id = log_id
        self._consumer = consumer
        self._delivery = delivery
        self._offsets = offsets
        self._waiting: deque[Record] = deque()
        self._arrived = asyncio.Event()
        self._paused = False
        self.closing = asyncio.Event()
        self.since: float | None = None
        self._task = asyncio.create_task(self._run(), name=f"lane {partition.topic}/{partition.partition}")

    @property
    def ended(self) -> bool:
        return self._task.done()

    def put(self, record: Record) -> None:
        if self.closing.is_set() or self.ended:
            return  # its offset is not committed: it comes again
        self._waiting.append(record)
        self._arrived.set()
        if len(self._waiting) >= MOST_WAITING and not self._paused:
            self._paused = True
            self._consumer.pause(self._partition)

    async def close(self, grace: float) -> None:
        """Lets the record in hand finish; what waits is left to the next owner."""
        self.closing.set()
        self._arrived.set()
        _, running = await asyncio.wait({self._task}, timeout=grace)
        for task in running:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while records := await self._next():
            crashpoint("consume.received")
            self.since = time.monotonic()
            try:
                if await self._delivery.finish_many(records):
                    self._done(records[-1])
                else:
                    await self._one_by_one(records)
            except Closing:
                return
            self.since = None

    async def _one_by_one(self, records: Sequence[Record]) -> None:
        for at, record in enumerate(records):
            if at and self.closing.is_set():
                raise Closing  # the rest is left to the next owner
            self.since = time.monotonic()
            await self._delivery.finish(record, self._log_id, self.closing)
            self._done(record)

    def _done(self, record: Record) -> None:
        crashpoint("consume.handled")
        self._offsets.done(self._partition, record.offset + 1, self._log_id)

    async def _next(self) -> list[Record]:
        """What waits, as many as one call may take; none when the lane closes."""
        while not self._waiting and not self.closing.is_set():
            self._arrived.clear()
            await self._arrived.wait()
        if self.closing.is_set():
            return []
        most = self._delivery.most_together(self._partition.topic)
        records = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if self._paused and len(self._waiting) <= RESUME_AT:
            self._paused = False
            self._consumer.resume(self._partition)
        return records


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """The lanes of one group member. An offset says of which log it is: one of a log that is gone counts as none."""

    def __init__(self, delivery: Delivery, log_ids: Mapping[str, str], group: str, committed: Committed) -> None:
        self._delivery = delivery
        self._log_ids = log_ids
        self._group = group
        self._committed = committed
        self._lanes: dict[TopicPartition, Lane] = {}
        self._closed = asyncio.Event()
        self.consumer: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self._offsets = Offsets(lambda: self.consumer())

    def receive(self, record: Record) -> None:
        lane = self._lanes.get(TopicPartition(record.topic, record.partition))
        if lane is not None:
            lane.put(record)

    @property
    def assigned(self) -> set[TopicPartition]:
        return set(self._lanes)

    def longest_in_hand(self) -> float:
        """Seconds that the slowest lane has spent on its record."""
        now = time.monotonic()
        return max((now - lane.since for lane in self._lanes.values() if lane.since is not None), default=0.0)

    def broken(self) -> bool:
        """A task ended although nobody closed it: its partitions stand still until the group is joined anew."""
        return self._offsets.broken or any(lane.ended and not lane.closing.is_set() for lane in self._lanes.values())

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._close(set(revoked), GRACE / 2)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = list(assigned)
        consumer = self.consumer()
        if consumer is None or not partitions:
            return
        # At once, before any record of them can be handed over: a stale offset must not move a lane.
        consumer.pause(*partitions)
        await self._forget_offsets_of_lost_logs(consumer, partitions)
        if self._closed.is_set():
            return
        await self._close(set(partitions), 0)
        for one in partitions:
            self._lanes[one] = Lane(one, self._log_ids[one.topic], consumer, self._delivery, self._offsets)
        consumer.resume(*partitions)

    async def _forget_offsets_of_lost_logs(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        while not self._closed.is_set():
            try:
                committed = await self._committed(partitions)
                lost = [one for one in partitions if self._is_of_another_log(one, committed.get(one))]
                if lost:
                    log.warning("offsets_forgotten", consumer_group=self._group, partitions=len(lost))
                    await consumer.seek_to_beginning(*lost)
                return
            except KafkaError as error:
                log.warning("offsets_not_read", consumer_group=self._group, error_type=type(error).__name__)
                await pause(ASK_AGAIN_AFTER, self._closed)

    def _is_of_another_log(self, partition: TopicPartition, found: OffsetAndMetadata | None) -> bool:
        if found is None or found.offset < 0 or not found.metadata:
            return False
        return bool(found.metadata != self._log_ids[partition.topic])

    async def close(self, grace: float = GRACE) -> None:
        self._closed.set()
        await self._close(set(self._lanes), grace)
        await self._offsets.close()

    async def _close(self, partitions: set[TopicPartition], grace: float) -> None:
        leaving = [self._lanes.pop(one) for one in partitions if one in self._lanes]
        await asyncio.gather(*(lane.close(grace) for lane in leaving))
        if leaving:
            await self._offsets.settle(COMMIT_GRACE)
        self._offsets.forget(partitions)
