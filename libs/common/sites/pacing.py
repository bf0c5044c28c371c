"""Polite pacing: one request at a time, with a pause between two of them."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """`seconds` from the start of one request to the start of the next."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._next = 0.0

    async def wait(self) -> None:
        pause = self._next - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        self._next = time.monotonic() + self.seconds
