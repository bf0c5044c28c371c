"""When has a broker forgotten? Told from the log's identity, its end and its acks."""

from datetime import UTC, datetime

from aiokafka import TopicPartition

from libs.common.bus.metadata import Log
from libs.common.outbox.memory import ends_after, topics_acked_too_low, topics_of_other_logs, topics_that_shrank
from libs.common.outbox.rows import Ack, Known, OutboxRow

KNOWN = {("a", 0): Known("c/1", 9), ("a", 1): Known("c/1", 4), ("b", 0): Known("c/2", 0)}
SAME = {"a": Log("c/1", "c", 2), "b": Log("c/2", "c", 1)}


def ack(topic: str, partition: int, offset: int) -> Ack:
    row = OutboxRow(
        id=1, event_id="e", topic=topic, key="k", payload=b"{}", occurred_at=datetime.now(UTC), traceparent=None,
        seq=None,
    )  # fmt: skip
    return Ack(row, partition, offset)


def test_the_same_logs_have_forgotten_nothing() -> None:
    assert topics_of_other_logs(KNOWN, SAME) == set()
    assert topics_that_shrank(KNOWN, {TopicPartition(*place): 10 for place in KNOWN}) == set()


def test_another_cluster_or_a_topic_made_again_or_gone_has() -> None:
    assert topics_of_other_logs(KNOWN, SAME | {"a": Log("other/1", "other", 2)}) == {"a"}
    assert topics_of_other_logs(KNOWN, SAME | {"b": Log("c/3", "c", 1)}) == {"b"}
    assert topics_of_other_logs(KNOWN, {"a": SAME["a"]}) == {"b"}


def test_an_end_that_is_not_beyond_the_last_offset_has() -> None:
    ends = {TopicPartition("a", 0): 10, TopicPartition("a", 1): 4, TopicPartition("b", 0): 1}
    assert topics_that_shrank(KNOWN, ends) == {"a"}
    assert topics_that_shrank(KNOWN, {}) == {"a", "b"}


def test_an_ack_that_is_not_beyond_the_last_offset_has() -> None:
    assert topics_acked_too_low(KNOWN, [ack("a", 0, 10), ack("a", 1, 5), ack("new", 0, 0)]) == set()
    assert topics_acked_too_low(KNOWN, [ack("a", 0, 9)]) == {"a"}


def test_the_greatest_offset_of_each_partition_is_remembered() -> None:
    ends = ends_after([ack("a", 0, 10), ack("a", 0, 12), ack("a", 1, 3), ack("a", 0, 11)], SAME)
    assert ends == {("a", 0): Known("c/1", 12), ("a", 1): Known("c/1", 3)}
