"""How many messages a topic has had, asked of the broker itself: the proof that nothing was told twice."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.events.catalog import BY_NAME


def messages(bootstrap: str, topic: str) -> int:
    return asyncio.run(_messages(bootstrap, topic))


async def _messages(bootstrap: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(BY_NAME[topic].partitions)]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
        return sum(ends.values())
    finally:
        await consumer.stop()
