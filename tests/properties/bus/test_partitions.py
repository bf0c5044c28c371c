"""A key's partition is that of every other client: its order depends on it."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.partitions import partition_of


@given(st.binary(max_size=64), st.integers(1, 64))
def test_partition_of_a_key_is_the_one_that_aiokafka_chooses(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])
