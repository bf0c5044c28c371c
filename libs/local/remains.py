"""The proof of an erasure: every table of every service is counted until nothing is left."""

from __future__ import annotations

import asyncio
import time

from libs.local.endpoints import read_credentials
from libs.local.repository import remaining_rows
from libs.local.state import SERVICES, State


def wait_until_nothing_remains(state: State, workspace: str, seconds: float = 60.0) -> dict[str, int]:
    """Table → rows that are left when the time is over; empty is the proof."""
    return asyncio.run(_wait(read_credentials(state).admin, workspace, time.monotonic() + seconds))


async def _wait(url: str, workspace: str, deadline: float) -> dict[str, int]:
    while True:
        left = await remaining_rows(url, list(SERVICES), workspace)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.5)
