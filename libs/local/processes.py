"""Supervision: parts start in order, a dead one is back within a second, and all end in order."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from libs.local.identity import Identity, sweep_group
from libs.local.ledger import Entry, Ledger
from libs.local.readiness import Ready, http_ready

POLL = 0.05
LAUNCHER = Path(__file__).with_name("launch.py")
LOG_LIMIT = 20_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """A process as data. `argv` may be a function where each start needs new arguments."""

    name: str
    argv: Sequence[str] | Callable[[], Sequence[str]]
    env: Mapping[str, str]
    cwd: Path
    ready: Ready | str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 60.0
    depends_on: tuple[str, ...] = ()
    once: bool = False
    prepare: Callable[[], None] | None = None
    account: str | None = None
    keep_access: bool = False

    def command(self) -> list[str]:
        """The whole command line: the launcher's options, then the program, which replaces the launcher."""
        fate: dict[str, object] = {"parent": os.getpid(), "signal": int(self.stop_signal)}
        who: dict[str, object] = {"account": self.account, "keep_access": self.keep_access}
        argv = self.argv() if callable(self.argv) else self.argv
        return [*launcher(fate | who), *argv]

    async def answers(self) -> bool:
        if self.ready is None:
            return not self.once
        ask = http_ready(self.ready) if isinstance(self.ready, str) else self.ready
        try:
            async with asyncio.timeout(3.0):
                return await ask()
        except TimeoutError:
            return False


def launcher(options: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER), msgspec.json.encode(options).decode()]


class Backoff:
    """Seconds before the next start: 0.2 after a first death, up to 5 while deaths repeat, 0.2 after good health."""

    FIRST, LAST, HEALTHY = 0.2, 5.0, 30.0

    def __init__(self) -> None:
        self._next = self.FIRST

    def after(self, lived: float) -> float:
        delay = self.FIRST if lived >= self.HEALTHY else self._next
        self._next = min(delay * 2, self.LAST)
        return delay


@dataclass
class Child:
    """One supervised process: what it is now, and the four things that can be done to it."""

    spec: ProcessSpec
    log: Path
    changed: Callable[[], None]
    state: str = "waiting"
    restarts: int = 0
    exit_code: int | None = None
    identity: Identity | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _born: float = 0.0

    def start(self) -> None:
        self.exit_code = None
        rotate(self.log)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own specification
                self.spec.command(), env=dict(self.spec.env), cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True,
            )  # fmt: skip
        self._born = time.monotonic()
        self.identity = Identity.of(self._process.pid)
        self.become("starting")

    async def live(self) -> float:
        """Until its death; answers how long it lived, in seconds."""
        process = self._process
        if process is None:
            return 0.0
        while (code := process.poll()) is None:
            if not self.ready.is_set():
                await self._look(process)
            await asyncio.sleep(POLL)
        sweep_group(process.pid)
        self.exit_code, self.identity = code, None
        self.ready.clear()
        return time.monotonic() - self._born

    async def _look(self, process: subprocess.Popen[bytes]) -> None:
        if await self.spec.answers():
            self.ready.set()
            self.become("ready")
        elif not self.spec.once and time.monotonic() - self._born > self.spec.start_seconds:
            logger.warning("%s does not answer after %.0f s: killed", self.spec.name, self.spec.start_seconds)
            process.kill()

    async def stop(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.spec.stop_signal)
            await self._die(process)
        sweep_group(process.pid)
        self.exit_code = process.returncode
        self.identity = None
        self.become("stopped")

    async def _die(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.spec.stop_seconds
        while process.poll() is None:
            if time.monotonic() > deadline:
                logger.warning("%s did not stop in %.0f s: killed", self.spec.name, self.spec.stop_seconds)
                process.kill()
                deadline = float("inf")
            await asyncio.sleep(POLL)

    def become(self, state: str) -> None:
        self.state = state
        self.changed()

    def entry(self) -> Entry:
        spec = self.spec
        return Entry(
            identity=self.identity, state=self.state, restarts=self.restarts, exit_code=self.exit_code, once=spec.once,
            stop_signal=int(spec.stop_signal), stop_seconds=spec.stop_seconds, log=str(self.log),
        )  # fmt: skip


class Supervisor:
    """Keeps a list of processes alive until told to stop."""

    def __init__(
        self, specs: Sequence[ProcessSpec], *, logs: Path, ledger: Ledger, when_ready: Callable[[], None] = lambda: None
    ) -> None:
        self._children = {spec.name: Child(spec, logs / f"{spec.name}.log", self._changed) for spec in specs}
        self._ledger = ledger
        self._when_ready = when_ready
        self._announced = False

    async def run(self, stop: asyncio.Event) -> None:
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children.values()]
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_of(stopping, keepers)
        finally:
            for task in (stopping, *keepers):
                task.cancel()
            await asyncio.gather(stopping, *keepers, return_exceptions=True)
            await self._stop_all()

    async def _keep(self, child: Child) -> None:
        for name in child.spec.depends_on:
            await self._children[name].ready.wait()
        backoff = Backoff()
        while True:
            lived = await self._live_once(child)
            if child.spec.once and child.exit_code == 0:
                child.ready.set()
                child.become("done")
                return
            child.restarts += 1
            child.become("restarting")
            logger.warning("%s died (%s) after %.1f s", child.spec.name, child.exit_code, lived)
            await asyncio.sleep(backoff.after(lived))

    async def _live_once(self, child: Child) -> float:
        """What keeps a part from starting (a full disk, a missing program) is told and tried again like a death."""
        try:
            if child.spec.prepare is not None:
                await asyncio.to_thread(child.spec.prepare)
            child.start()
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("%s cannot start: %s", child.spec.name, error)
            return 0.0
        return await child.live()

    async def _stop_all(self) -> None:
        for stage in shutdown_stages([child.spec for child in self._children.values()]):
            await asyncio.gather(*(self._children[name].stop() for name in stage))

    def _changed(self) -> None:
        ready = all(child.state in ("ready", "done") for child in self._children.values())
        if ready and not self._announced:
            self._announced = True
            self._when_ready()
        self._ledger.write({name: child.entry() for name, child in self._children.items()}, ready=ready)


async def _first_of(stopping: asyncio.Task[bool], keepers: Sequence[asyncio.Task[None]]) -> None:
    """Until the order to stop, or a fault of our own in a keeper, which is raised."""
    pending: set[asyncio.Task[None]] = set(keepers)
    while not stopping.done():
        done, _ = await asyncio.wait({stopping, *pending}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        pending = {task for task in pending if not task.done()}


def shutdown_stages(specs: Sequence[ProcessSpec]) -> list[list[str]]:
    """Dependents stop before what they depend on, together; what depends on nothing stops last, one by one."""
    by_name = {spec.name: spec for spec in specs}

    def depth(name: str) -> int:
        return 1 + max((depth(below) for below in by_name[name].depends_on), default=-1)

    depths = {name: depth(name) for name in by_name}
    levels = range(max(depths.values(), default=0), 0, -1)
    upper = [[name for name in by_name if depths[name] == level] for level in levels]
    return upper + [[name] for name in reversed(by_name) if depths[name] == 0]


def rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
