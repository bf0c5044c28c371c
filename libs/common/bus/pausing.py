"""Waiting that an ordered stop can end."""

from __future__ import annotations

import asyncio


async def pause(seconds: float, until: asyncio.Event) -> bool:
    """True if the event ended it."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return False
    return True
