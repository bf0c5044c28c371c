"""The proof of an erasure: every table of every service is counted until nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from libs.local.endpoints import read_credentials
from libs.local.state import SERVICES, State

# An engine beside Postgres is told to forget when whoever may be telling it of the workspace just now has given up:
# a minute after the rows have left (LEASE_S in services/chunker/domain/mirroring.py).
ENGINE_FORGETS = {"chunker.mirror_wanted"}
LONGEST_S = 150.0

Remaining = Callable[[], Awaitable[dict[str, int]]]


def wait_until_nothing_remains(state: State, workspace: str, tell: Callable[[str], None]) -> dict[str, int]:
    """Table → rows that are left when the time is over; empty is the proof. `tell` hears once of what takes long."""
    from libs.local.repository import remaining_rows  # with a database's client, which only this verb needs

    url = read_credentials(state).admin
    return asyncio.run(waited(lambda: remaining_rows(url, list(SERVICES), workspace), tell))


async def waited(remaining: Remaining, tell: Callable[[str], None], interval: float = 0.5) -> dict[str, int]:
    deadline = time.monotonic() + LONGEST_S
    told = False
    while (left := await remaining()) and time.monotonic() < deadline:
        if left.keys() == ENGINE_FORGETS and not told:
            tell("Only the search engine is yet to forget: it is asked a minute after the rows have left.")
            told = True
        await asyncio.sleep(interval)
    return left
