"""Has the broker forgotten what it acknowledged? Told apart by the log's identity first, by its end after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from libs.common.bus.metadata import Log
from libs.common.outbox.rows import Ack, Known, Place


def topics_of_other_logs(known: Mapping[Place, Known], logs: Mapping[str, Log]) -> set[str]:
    """Another cluster, or the topic made again: exact also when new records have filled the log past our offsets."""
    return {topic for (topic, _), past in known.items() if topic not in logs or logs[topic].identity != past.log_id}


def topics_that_shrank(known: Mapping[Place, Known], ends: Mapping[TopicPartition, int]) -> set[str]:
    """The same log with an end that is not beyond our last offset: a tail was cut off (an unclean election)."""
    return {
        topic
        for (topic, partition), past in known.items()
        if ends.get(TopicPartition(topic, partition), 0) <= past.last_offset
    }


def topics_acked_too_low(known: Mapping[Place, Known], acks: Sequence[Ack]) -> set[str]:
    """An ack that is not beyond what was acknowledged before: the log was cut between two batches."""
    return {
        ack.row.topic
        for ack in acks
        if (past := known.get((ack.row.topic, ack.partition))) is not None and ack.offset <= past.last_offset
    }


def ends_after(acks: Sequence[Ack], logs: Mapping[str, Log]) -> dict[Place, Known]:
    """The greatest offset of each touched partition. The acks are in order of sending."""
    ends: dict[Place, Known] = {}
    for ack in acks:
        place = (ack.row.topic, ack.partition)
        if place not in ends or ack.offset > ends[place].last_offset:
            ends[place] = Known(logs[ack.row.topic].identity, ack.offset)
    return ends
