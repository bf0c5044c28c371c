"""Whoever waits for the proof of an erasure is told of the minute that an engine takes, once."""

from __future__ import annotations

import pytest

from libs.local.remains import waited

ENGINE = {"chunker.mirror_wanted": 1}


@pytest.mark.parametrize(
    ("counts", "lines"),
    [
        ([{}], 0),
        ([{"sync.source": 4}, {}], 0),
        ([{"sync.source": 4} | ENGINE, ENGINE, ENGINE, {}], 1),
    ],
)
async def test_minute_of_the_engine_is_told_once_and_only_when_it_alone_is_waited_for(
    counts: list[dict[str, int]], lines: int
) -> None:
    told: list[str] = []
    left = iter(counts)

    async def remaining() -> dict[str, int]:
        return next(left)

    assert await waited(remaining, told.append, interval=0.0) == {}
    assert len(told) == lines
    assert all("engine" in line for line in told)
