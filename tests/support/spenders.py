"""Several replicas that spend of one account, started, told to stop, and heard."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from tests.support.metered import Metered


class Spenders:
    def __init__(self) -> None:
        self.facts: list[dict[str, Any]] = []
        self.processes: list[asyncio.subprocess.Process] = []
        self._hearing: list[asyncio.Task[None]] = []

    async def start(self, order: dict[str, Any]) -> None:
        words = [sys.executable, "-m", "tests.support.spender", json.dumps(order)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
        self.processes.append(process)
        self._hearing.append(asyncio.create_task(self._hear(process)))

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.facts.append(json.loads(line))

    def told(self, fact: str) -> list[dict[str, Any]]:
        return [one for one in self.facts if one["fact"] == fact]

    async def ready(self) -> None:
        await eventually(lambda: len(self.told("ready")) == len(self.processes), timeout=30)

    async def stop(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.close()
        codes = await asyncio.gather(*(self._ended(process) for process in self.processes))
        await asyncio.gather(*self._hearing)
        assert codes == [0] * len(codes)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Whoever does not end by himself says on stderr what he waits for."""
        try:
            return await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.send_signal(signal.SIGUSR1)
            return await asyncio.wait_for(process.wait(), 10)


@asynccontextmanager
async def spending(
    provider: Metered, redis: str, *, flows: Sequence[Sequence[tuple[str, str]]], rest: float = 0.0, **more: Any
) -> AsyncIterator[Spenders]:
    """A process for each entry of `flows`, with a worker for each (workspace, lane) of it.

    `patience`: seconds for an answer of Redis. A busy machine may take longer than a service waits; a Redis that is
    killed refuses at once.
    """
    order = {
        "url": provider.url, "redis": redis, "account": new_id(), "rest": rest, "patience": 20.0,
        "replicas": len(flows),
        "window": int(provider.window), "per_hour": int(provider.limit * 3600 / provider.window), "concurrency": 16,
        **more,
    }  # fmt: skip
    made = Spenders()
    try:
        for own in flows:
            await made.start({**order, "flows": own})
        await made.ready()
        yield made
        await made.stop()
    finally:
        for process in made.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
