"""A program run to its end, or to a moment, with the memory of its whole process tree sampled on the way."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

SAMPLE_SECONDS = 0.02
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Watched:
    """`seconds` counts from the start of the process to `ended`, and `rss_mb` is the peak of the tree."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.rss_mb = 0.0
        self.seconds = 0.0
        self._log = log
        self._began = time.perf_counter()
        with log.open("ab") as out:
            self._process = subprocess.Popen(argv, env=dict(env), cwd=cwd, stdout=out, stderr=out)
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()

    async def ended(self, is_over: Callable[[], Awaitable[bool]] | None = None, limit: float = 1800.0) -> None:
        """Waits for the process, or for a moment of its life; it is ended then."""
        try:
            if is_over is None:
                await asyncio.to_thread(self._process.wait, limit)
            else:
                await self._wait_for(is_over, limit)
            self.seconds = time.perf_counter() - self._began
        finally:
            self._over.set()
            self._sampler.join()
            self._process.terminate()
            code = await asyncio.to_thread(self._process.wait, 30)
        if code:
            raise RuntimeError(f"ended with {code}:\n{self._tail()}")

    async def _wait_for(self, is_over: Callable[[], Awaitable[bool]], limit: float) -> None:
        while not await is_over():
            if self._process.poll() is not None or time.perf_counter() - self._began > limit:
                raise RuntimeError(f"did not come to its end:\n{self._tail()}")
            await asyncio.sleep(SAMPLE_SECONDS)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.rss_mb = max(self.rss_mb, sum(map(_resident_mb, _tree(self._process.pid))))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20
    except OSError:
        return 0.0
