"""A key's partition is that of every other client: its order depends on it."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.partitions import partition_of
from libs.common.ids import new_id


@given(st.binary(max_size=64), st.integers(1, 64))
def test_partition_of_a_key_is_the_one_that_aiokafka_chooses(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


@pytest.mark.parametrize("partitions", [1, 12])
def test_ids_are_spread_over_all_partitions(partitions: int) -> None:
    found = {partition_of(new_id().encode(), partitions) for _ in range(500)}
    assert found == set(range(partitions))
