"""How much may go without anybody being asked."""

from __future__ import annotations

import pytest

from services.sync.domain.fuse import FEW, blows


@pytest.mark.parametrize(
    ("count", "of", "share", "held"),
    [(FEW, FEW, 0.2, False), (FEW + 1, 20, 0.2, True), (20, 100, 0.2, False), (21, 100, 0.2, True),
     (99, 99, 1.0, False), (FEW + 1, 1_000_000, 0.0, True), (0, 0, 0.0, False)],
)  # fmt: skip
def test_more_than_a_few_and_than_the_share_is_held(count: int, of: int, share: float, held: bool) -> None:
    assert blows(count, of, share) is held
