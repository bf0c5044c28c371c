"""Whoever is told to end while Redis is asked ends: nothing on the way may forget that it was told."""

from __future__ import annotations

import asyncio

from libs.common.ids import new_id
from libs.common.limits.shared import Shared


async def test_asker_that_is_cancelled_ends_wherever_its_question_is(shared: Shared) -> None:
    """A replica ends when its loops have: one that goes on asking keeps its process for ever."""
    owner = new_id()

    async def ask() -> None:
        while True:
            await shared.beat(owner)

    for steps in range(60):
        asking = asyncio.create_task(ask())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        ended, _ = await asyncio.wait({asking}, timeout=5)
        assert ended == {asking}
        assert asking.cancelled()
