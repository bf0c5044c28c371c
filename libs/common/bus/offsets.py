"""What is done is committed at once, by one commit at a time that carries every partition: lanes never wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from libs.common.bus.pausing import pause
from libs.common.telemetry.logging import get_logger
from libs.common.testing.crashpoints import crashpoint

log = get_logger(__name__)

RETRY_AFTER = 0.5
TIMEOUT = 5.0

Place = tuple[int, str]


class Offsets:
    """An offset is kept here only once its record is finished; it names the log that it is an offset of."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._consumer = consumer
        self._done: dict[TopicPartition, Place] = {}
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def broken(self) -> bool:
        return self._task is not None and self._task.done()

    def done(self, partition: TopicPartition, offset: int, log_id: str) -> None:
        """`offset` is the next one to read."""
        self._done[partition] = (offset, log_id)
        self._settled.clear()
        self._work.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="offsets")

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They left us, or came anew: what was done before is committed by nobody now, and is delivered again."""
        for partition in partitions:
            self._done.pop(partition, None)

    async def settle(self, seconds: float) -> None:
        """Returns when all that is done is committed, or after `seconds`: then it is delivered again."""
        await pause(seconds, self._settled)

    async def close(self) -> None:
        self._closed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._closed.is_set():
            if not self._done:
                self._settled.set()
                self._work.clear()
                await self._work.wait()
            batch, self._done = self._done, {}
            if not await self._commit(batch):
                # What got done in the meantime is newer and stays.
                self._done = {**batch, **self._done}
                await pause(RETRY_AFTER, self._closed)

    async def _commit(self, batch: dict[TopicPartition, Place]) -> bool:
        """False when it must be tried again. A partition that is no longer ours is somebody else's to commit."""
        consumer = self._consumer()
        if consumer is None:
            return True
        held = consumer.assignment()
        ours = {place: offset for place, offset in batch.items() if place in held}
        if not ours:
            return True
        try:
            async with asyncio.timeout(TIMEOUT):
                await consumer.commit(ours)
        except (CommitFailedError, IllegalStateError):
            log.info("offsets_not_ours", partitions=len(batch))
        except (KafkaError, TimeoutError):
            return False
        else:
            crashpoint("consume.committed")
        return True
