"""How many messages a topic has had and a group has yet to read, asked of the broker itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.bus.broker import cluster_id, group_in
from libs.common.events.catalog import BY_NAME


def messages(bootstrap: str, topic: str) -> int:
    """The proof that nothing was told twice: the difference of two of these."""

    async def ask(consumer: AIOKafkaConsumer) -> int:
        return sum((await _ends(consumer, topic)).values())

    return asyncio.run(_with_consumer(bootstrap, None, ask))


def unread(bootstrap: str, group: str, topic: str) -> int:
    """What that group of consumers has not committed yet."""

    async def ask(consumer: AIOKafkaConsumer) -> int:
        ends = await _ends(consumer, topic)
        read = {part: await consumer.committed(part) or 0 for part in ends}
        return sum(max(0, end - read[part]) for part, end in ends.items())

    return asyncio.run(_as_group(bootstrap, group, ask))


async def _as_group(bootstrap: str, group: str, ask: Callable[[AIOKafkaConsumer], Awaitable[int]]) -> int:
    return await _with_consumer(bootstrap, group_in(group, await cluster_id(bootstrap), "embedded"), ask)


async def _ends(consumer: AIOKafkaConsumer, topic: str) -> dict[TopicPartition, int]:
    parts = [TopicPartition(topic, number) for number in range(BY_NAME[topic].partitions)]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
    return ends


async def _with_consumer(bootstrap: str, group: str | None, ask: Callable[[AIOKafkaConsumer], Awaitable[int]]) -> int:
    """It joins no group: nobody's partitions move because somebody looks."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        return await ask(consumer)
    finally:
        await consumer.stop()
