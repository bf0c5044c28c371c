"""A member's lanes: order inside a partition, freedom between them, offsets only of what is finished."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata

from libs.common.bus import offsets
from libs.common.bus.dead_letters import ReplayedRecord
from libs.common.bus.delivery import Closing
from libs.common.bus.lanes import MOST_WAITING, Lanes
from libs.common.testing import eventually as waiting

eventually = partial(waiting.eventually, interval=0.002)
FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


class FakeConsumer:
    """Remembers what it was asked; `failing` is raised by the next commits, one each."""

    def __init__(self) -> None:
        self.commits: list[dict] = []
        self.failing: list[Exception] = []
        self.paused: set[TopicPartition] = set()
        self.rewound: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return {FIRST, SECOND}

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self.rewound |= set(partitions)

    async def commit(self, offsets: dict) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.commits.append(offsets)

    @property
    def committed(self) -> dict:
        found: dict = {}
        for commit in self.commits:
            found |= commit
        return found


class FakeDelivery:
    """Finishes a record when its gate is open; those of `held` partitions wait for `go`.

    Up to `together` records are one call, which fails when an offset of `bad` is among them.
    """

    def __init__(self, held: Iterable[int] = (), *, together: int = 1, bad: Iterable[int] = ()) -> None:
        self.finished: list[tuple[int, int]] = []
        self.calls: list[int] = []
        self.held = set(held)
        self.together = together
        self.bad = set(bad)
        self.go = asyncio.Event()

    def most_together(self, topic: str) -> int:
        return self.together

    async def finish_many(self, records: Sequence[ReplayedRecord]) -> bool:
        if len(records) == 1 or self.bad & {one.offset for one in records}:
            return False
        self.calls.append(len(records))
        self.finished += [(one.partition, one.offset) for one in records]
        return True

    async def finish(self, record: ReplayedRecord, log_id: str, closing: asyncio.Event) -> None:
        while record.partition in self.held and not self.go.is_set():
            if closing.is_set():
                raise Closing
            await asyncio.wait(
                [asyncio.create_task(self.go.wait()), asyncio.create_task(closing.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        self.finished.append((record.partition, record.offset))


def record(partition: int, offset: int) -> ReplayedRecord:
    return ReplayedRecord("t", partition, offset, 0, b"k", b"{}", ())


async def joined(
    consumer: FakeConsumer, delivery: FakeDelivery, before: Mapping[TopicPartition, OffsetAndMetadata] | None = None
) -> Lanes:
    async def committed(_: Iterable[TopicPartition]) -> Mapping[TopicPartition, OffsetAndMetadata]:
        return before or {}

    lanes = Lanes(delivery, {"t": "log-1"}, "group", committed)
    lanes.consumer = lambda: consumer
    await lanes.on_partitions_assigned([FIRST, SECOND])
    return lanes


async def test_a_held_partition_keeps_its_offset_and_the_other_goes_on() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery(held=[0])
    lanes = await joined(consumer, delivery)
    for offset in range(5):
        lanes.receive(record(0, offset))
        lanes.receive(record(1, offset))
    await eventually(lambda: consumer.committed == {SECOND: (5, "log-1")}, timeout=10)
    assert lanes.longest_in_hand() > 0
    delivery.go.set()
    await eventually(lambda: consumer.committed == {FIRST: (5, "log-1"), SECOND: (5, "log-1")}, timeout=10)
    assert [place for place in delivery.finished if place[0] == 0] == [(0, offset) for offset in range(5)]
    await lanes.close()


async def test_what_waits_is_finished_together_and_a_bad_record_takes_no_other_along() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery(together=4, bad=[5])
    lanes = await joined(consumer, delivery)
    for offset in range(12):
        lanes.receive(record(0, offset))
    await eventually(lambda: consumer.committed == {FIRST: (12, "log-1")}, timeout=10)
    assert delivery.finished == [(0, offset) for offset in range(12)]
    assert delivery.calls == [4, 4]
    await lanes.close()


async def test_a_lane_that_closes_within_a_failed_batch_commits_what_it_finished() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery(held=[0], together=4, bad=[1])
    lanes = await joined(consumer, delivery)
    for offset in range(4):
        lanes.receive(record(0, offset))
    await eventually(lambda: lanes.longest_in_hand() > 0, timeout=10)
    await lanes.on_partitions_revoked([FIRST])
    assert delivery.finished == []
    assert consumer.committed == {}
    await lanes.close()


async def test_a_full_lane_stops_its_partition_and_an_emptied_one_goes_on() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery(held=[0])
    lanes = await joined(consumer, delivery)
    for offset in range(MOST_WAITING + 5):
        lanes.receive(record(0, offset))
    assert consumer.paused == {FIRST}
    delivery.go.set()
    await eventually(lambda: consumer.paused == set(), timeout=10)
    await lanes.close()


async def test_a_revoked_partition_commits_what_is_finished_and_drops_the_rest() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery()
    lanes = await joined(consumer, delivery)
    lanes.receive(record(0, 0))
    await eventually(lambda: len(delivery.finished) == 1, timeout=10)
    delivery.held.add(0)
    lanes.receive(record(0, 1))
    lanes.receive(record(0, 2))
    await lanes.on_partitions_revoked([FIRST, SECOND])
    lanes.receive(record(0, 3))
    assert consumer.committed == {FIRST: (1, "log-1")}
    assert lanes.assigned == set()
    assert delivery.finished == [(0, 0)]
    await lanes.close()


async def test_a_failed_commit_is_tried_again_and_a_refused_one_is_left_to_the_next_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offsets, "RETRY_AFTER", 0.01)
    consumer, delivery = FakeConsumer(), FakeDelivery()
    lanes = await joined(consumer, delivery)
    consumer.failing = [KafkaConnectionError("away")]
    lanes.receive(record(0, 0))
    await eventually(lambda: consumer.committed == {FIRST: (1, "log-1")}, timeout=10)
    consumer.failing = [CommitFailedError("rebalanced")]
    lanes.receive(record(0, 1))
    await eventually(lambda: len(delivery.finished) == 2 and not consumer.failing, timeout=10)
    assert not lanes.broken()
    assert consumer.committed == {FIRST: (1, "log-1")}
    await lanes.close()


async def test_an_offset_of_a_log_that_is_gone_counts_as_none() -> None:
    consumer = FakeConsumer()
    before = {FIRST: OffsetAndMetadata(70, "log-0"), SECOND: OffsetAndMetadata(70, "log-1")}
    lanes = await joined(consumer, FakeDelivery(), before)
    assert consumer.rewound == {FIRST}
    assert consumer.paused == set()
    await lanes.close()


async def test_an_offset_without_a_log_is_believed() -> None:
    consumer = FakeConsumer()
    lanes = await joined(consumer, FakeDelivery(), {FIRST: OffsetAndMetadata(70, "")})
    assert consumer.rewound == set()
    await lanes.close()


async def test_a_lane_that_broke_is_noticed() -> None:
    consumer, delivery = FakeConsumer(), FakeDelivery()

    async def broken(*_: object) -> None:
        raise RuntimeError("not a failure of a handler")

    lanes = await joined(consumer, delivery)
    assert not lanes.broken()
    delivery.finish = broken
    lanes.receive(record(0, 0))
    await eventually(lanes.broken, timeout=10)
    assert consumer.commits == []
    await lanes.close()
