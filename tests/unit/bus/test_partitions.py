"""A key's partition is that of every other client: its order depends on it."""

import pytest

from libs.common.bus.partitions import partition_of
from libs.common.ids import new_id


@pytest.mark.parametrize("partitions", [1, 12])
def test_ids_are_spread_over_all_partitions(partitions: int) -> None:
    found = {partition_of(new_id().encode(), partitions) for _ in range(500)}
    assert found == set(range(partitions))
