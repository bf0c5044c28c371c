"""One process of the stack without a supervisor, so that a test decides when it dies and when it returns."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from libs.common.testing.eventually import eventually
from libs.local.processes import Child, ProcessSpec


class Running:
    """`start` and `kill` may be called any number of times; it comes back with the same specification and port."""

    def __init__(self, spec: ProcessSpec, logs: Path) -> None:
        self.spec = spec
        self._child = Child(spec, logs / f"{spec.name}.log", lambda: None)

    @property
    def log(self) -> Path:
        return self._child.log

    @property
    def pid(self) -> int:
        if self._child.identity is None:
            raise RuntimeError(f"{self.spec.name} does not run")
        return self._child.identity.pid

    def launch(self) -> None:
        """Starts without waiting; `await ready()` from a running loop."""
        if self.spec.prepare is not None:
            self.spec.prepare()
        self._child.start()

    async def ready(self) -> None:
        await eventually(self._answers, timeout=self.spec.start_seconds, interval=0.1)

    async def _answers(self) -> bool:
        identity = self._child.identity
        if identity is None or not identity.alive():
            raise RuntimeError(f"{self.spec.name} ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        return await self.spec.answers()

    def start(self, *, empty: bool = False) -> None:
        """Returns when it answers, having lost what it kept if asked; blocks the caller's loop, if there is one."""
        if empty:
            self.forget()
        self.launch()
        _apart(self.ready())

    def forget(self) -> None:
        """Removes what lies on its disk. Most keep nothing there that a test wants gone."""

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(self.spec.stop_signal)

    def _end(self, number: signal.Signals) -> None:
        if self._child.identity is not None:
            self._child.identity.send(number)
            _apart(self._child.stop())


AnyRunning = TypeVar("AnyRunning", bound=Running)


@contextmanager
def running(process: AnyRunning) -> Iterator[AnyRunning]:
    """Started here, and stopped whatever comes."""
    try:
        process.start()
        yield process
    finally:
        process.stop()


def _apart(work: object) -> None:
    """Runs a coroutine to its end in a loop of its own thread, whether or not the caller has a loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, work).result()  # type: ignore[arg-type]
