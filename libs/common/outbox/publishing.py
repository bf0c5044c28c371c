"""Rows to the broker: those of a partition go out in their order, as few records' batches as they fit into."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.bus.metadata import Log
from libs.common.bus.partitions import partition_of
from libs.common.events.cloudevents import Attributes, encode
from libs.common.outbox.rows import Ack, OutboxRow, Place
from libs.common.testing.crashpoints import crashpoint

# Rows of one partition, and what the broker will say of them: where the first of them stands.
Sent = tuple[Sequence[OutboxRow], asyncio.Future[Any]]


async def publish(
    producer: AIOKafkaProducer, batch: Sequence[OutboxRow], logs: Mapping[str, Log], source: str
) -> tuple[list[Ack], KafkaError | None]:
    """Acks in the order of the rows; what stands behind a failure of its partition is none: it must be sent again."""
    lanes: defaultdict[Place, list[OutboxRow]] = defaultdict(list)
    for row in batch:
        lanes[row.topic, partition_of(row.key.encode(), logs[row.topic].partitions)].append(row)
    sending = [_send(producer, place, rows, source) for place, rows in lanes.items()]
    sent = await asyncio.gather(*sending)
    crashpoint("relay.sent")
    acks: list[Ack] = []
    failure: KafkaError | None = None
    for place, (batches, broken) in zip(lanes, sent, strict=True):
        found, error = await _acked(place, batches)
        acks += found
        failure = failure or error or broken
    return sorted(acks, key=lambda ack: ack.row.id), failure


async def _send(
    producer: AIOKafkaProducer, place: Place, rows: Iterable[OutboxRow], source: str
) -> tuple[list[Sent], KafkaError | None]:
    """What could be handed over, and why the rest could not."""
    sent: list[Sent] = []
    try:
        for builder, held in _batched(producer, rows, source):
            sent.append((held, await _hand_over(producer, place, builder)))
    except KafkaError as error:
        return sent, error
    return sent, None


def _batched(
    producer: AIOKafkaProducer, rows: Iterable[OutboxRow], source: str
) -> Iterator[tuple[Any, Sequence[OutboxRow]]]:
    builder: Any = producer.create_batch()
    held: list[OutboxRow] = []
    for row in rows:
        if not _append(builder, row, source):
            yield builder, held
            builder, held = producer.create_batch(), []
            _append(builder, row, source)
        held.append(row)
    yield builder, held


def _append(builder: Any, row: OutboxRow, source: str) -> bool:
    """False when it is full; the first row fits, whatever its size."""
    return (
        builder.append(timestamp=None, key=row.key.encode(), value=row.payload, headers=_headers(row, source))
        is not None
    )


async def _hand_over(producer: AIOKafkaProducer, place: Place, builder: Any) -> asyncio.Future[Any]:
    builder.close()  # so that it waits for no others
    topic, partition = place
    sent: asyncio.Future[Any] = await producer.send_batch(builder, topic, partition=partition)
    return sent


async def _acked(place: Place, batches: Iterable[Sent]) -> tuple[list[Ack], KafkaError | None]:
    acks: list[Ack] = []
    failure: KafkaError | None = None
    for rows, future in batches:
        try:
            first = (await future).offset
        except KafkaError as error:
            failure = failure or error
        else:
            if failure is None:
                acks += [Ack(row, place[1], first + at) for at, row in enumerate(rows)]
    return acks, failure


def _headers(row: OutboxRow, source: str) -> list[tuple[str, bytes]]:
    return encode(
        Attributes(
            id=row.event_id, source=source, type=row.topic, time=row.occurred_at, subject=row.key,
            traceparent=row.traceparent,
        )
    )  # fmt: skip
