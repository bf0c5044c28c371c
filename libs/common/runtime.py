"""The supervisor of one process: components side by side, each restarted alone, all ended in order."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from libs.common.errors import ConfigurationError, Disposition, SluiceError
from libs.common.http.health import Health
from libs.common.http.operations import Operations
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter, gauge
from libs.common.telemetry.tracing import flush_traces

if TYPE_CHECKING:
    from litestar import Litestar

log = get_logger(__name__)

Kind = Literal["http", "consumers", "workers", "relay"]
Only = Literal["http", "consumers", "workers"]

SHUTDOWN_SECONDS = 20.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Intake ends first; then what was taken in is finished; then what that wrote is published; pools are closed last.
STAGES: tuple[frozenset[Kind], ...] = (
    frozenset({"http", "consumers"}),
    frozenset({"workers"}),
    frozenset({"relay"}),
)
KINDS_OF: dict[Only | None, frozenset[Kind]] = {
    None: frozenset({"http", "consumers", "workers", "relay"}),
    "http": frozenset({"http"}),
    "consumers": frozenset({"consumers"}),
    "workers": frozenset({"workers", "relay"}),
}
FIRST_WAIT = 0.2
LONGEST_WAIT = 30.0
STEADY_SECONDS = 5.0
SPREAD = (0.75, 1.25)  # workers that began together do not look together for ever
SHORT_WAIT = 0.02
EXPECTED_IN_A_ROW = 3

_up = gauge("component_up", "1 while a component runs", ["component"])
_failures = counter("component_failures_total", "Times a component failed and was started again", ["component"])
_step_failures = counter("loop_failures_total", "Steps of a loop that raised", ["loop", "code"])


class Component(Protocol):
    """`run` serves until `stop` is set, finishes what is in flight and returns."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    async def run(self, stop: asyncio.Event) -> None: ...


class Service:
    """What `build(settings)` returns. `http` makes the surface, with the operations that it is given.

    `on_close` runs last, in the order given: the relay is done, pools may go.
    """

    def __init__(
        self,
        operations: Operations,
        http: Callable[[Operations], Litestar] | None,
        components: Sequence[Component],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_close: Sequence[Callable[[], Awaitable[None]]] = (),
        on_listening: Callable[[int], None] | None = None,
    ) -> None:
        self.name = operations.name
        self.operations = operations
        self.on_close = tuple(on_close)
        self.components = tuple(components)
        self._http = http
        self._place = (host, port, on_listening)

    def chosen(self, only: Only | None) -> tuple[Component, ...]:
        """The relay goes with the workers: it is leased, so any number of processes may offer to run it.

        A process that does not serve the surface still answers its probes and metrics on the same port.
        """
        kinds = KINDS_OF[only]
        parts = tuple(component for component in self.components if component.kind in kinds)
        if self._http is None:
            return parts
        return (*parts, Late("http", "http", partial(self._server, whole="http" in kinds)))

    def surface(self) -> Litestar:
        """A new one at each call."""
        if self._http is None:
            raise ConfigurationError(f"{self.name} has no HTTP application")
        return self._http(self.operations)

    def _server(self, *, whole: bool) -> Component:
        from libs.common.http.probes import Probes
        from libs.common.http.server import HttpServer

        return HttpServer(self.surface() if whole else Probes(self.operations), *self._place)


class Late:
    """A component with libraries that take longer to load than all that works: they are loaded beside it, in a thread,
    and one after the other: two at once are not there sooner, and what works waits for both whenever an answer came.

    `load` is called again when the component failed.
    """

    _loading = threading.Lock()

    def __init__(self, name: str, kind: Kind, load: Callable[[], Component]) -> None:
        self.name = name
        self.kind = kind
        self._load = load

    async def run(self, stop: asyncio.Event) -> None:
        component = await asyncio.to_thread(self._load_alone)
        await component.run(stop)

    def _load_alone(self) -> Component:
        with self._loading:
            return self._load()


async def run_service(
    service: Service,
    only: Only | None = None,
    *,
    stop: asyncio.Event | None = None,
    grace: float = SHUTDOWN_SECONDS,
) -> None:
    """Runs until SIGTERM, SIGINT or `stop`; then shuts down in order, within `grace` seconds."""
    stopping = stop or asyncio.Event()
    _listen_to_signals(stopping)
    supervised = [_Supervised(component, service.operations.health) for component in service.chosen(only)]
    for one in supervised:
        one.start()
    log.info("service_started", count=len(supervised))
    try:
        await stopping.wait()
    finally:
        await _shut_down(service, supervised, grace)
        _forget_signals()


def _listen_to_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stopping.set)


def _forget_signals() -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.remove_signal_handler(number)


async def _shut_down(service: Service, supervised: Sequence[_Supervised], grace: float) -> None:
    deadline = asyncio.get_running_loop().time() + grace
    for stage in STAGES:
        members = [one for one in supervised if one.kind in stage]
        await asyncio.gather(*(one.end(deadline) for one in members))
    for close in service.on_close:
        await _close(close, deadline)
    await asyncio.to_thread(flush_traces)
    log.info("service_stopped")


async def _close(close: Callable[[], Awaitable[None]], deadline: float) -> None:
    """One pool that will not close must not keep the others open."""
    try:
        async with asyncio.timeout_at(max(deadline, asyncio.get_running_loop().time() + 1)):
            await close()
    except Exception as error:  # the process ends here: told, and the next pool is closed
        log.error("close_failed", exc_info=error)


class _Supervised:
    """One component's task: a failure turns it red and starts it again after a pause; its siblings never notice."""

    def __init__(self, component: Component, health: Health) -> None:
        self._component = component
        self._health = health
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.kind = component.kind

    def start(self) -> None:
        self._mark(True)
        self._task = asyncio.create_task(self._keep_running(), name=self._component.name)

    async def end(self, deadline: float) -> None:
        """Asks, waits until the deadline, then cancels."""
        self._stop.set()
        if self._task is None:
            return
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait({self._task}, timeout=left)
        if not done:
            log.warning("component_cancelled", component=self._component.name)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)
        self._mark(False)

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = asyncio.get_running_loop().time()
            failed = await self._run_once(recovering=failures > 0)
            if not failed:
                return
            steady = asyncio.get_running_loop().time() - began > STEADY_SECONDS
            failures = 1 if steady else failures + 1
            await wait_for_event(self._stop, _backoff(failures))

    async def _run_once(self, recovering: bool) -> bool:
        """True when it failed; returning before it was asked to is a failure as well."""
        recovery = asyncio.create_task(self._turn_green()) if recovering else None
        try:
            await self._component.run(self._stop)
        except Exception as error:  # the supervisor's one policy: red, told, started again
            log.error("component_failed", component=self._component.name, exc_info=error)
        else:
            if self._stop.is_set():
                return False
            log.error("component_failed", component=self._component.name, reason="returned")
        finally:
            if recovery is not None:
                recovery.cancel()
        _failures.labels(self._component.name).inc()
        self._mark(False)
        return True

    async def _turn_green(self) -> None:
        """Only a start that holds counts: a component that fails at once stays red between its attempts."""
        await asyncio.sleep(STEADY_SECONDS)
        self._mark(True)

    def _mark(self, up: bool) -> None:
        self._health.set(self._component.name, up)
        _up.labels(self._component.name).set(int(up))


class Loop:
    """A worker: calls `step` until it says that no work is left, then waits some `idle` seconds or for `wake`.

    A step answers True if it did something. What it raises is told and waited out; the loop itself never ends by it.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[bool]],
        idle: float = 1.0,
        wake: asyncio.Event | None = None,
        kind: Kind = "workers",
    ) -> None:
        self.name = name
        self.kind = kind
        self._step = step
        self._idle = idle
        self._wake = wake
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._wake is not None:
                self._wake.clear()  # before the step: what arrives while it looks must not be slept over
            pause = await self._try_step()
            if pause == 0:
                await asyncio.sleep(0)  # a step without a real await must not hold the whole process
            else:
                await wait_for_any(pause, stop, *([self._wake] if self._wake and not self._failures else []))

    async def _try_step(self) -> float:
        """Seconds to wait before the next step."""
        try:
            worked = await self._step()
        except Exception as error:  # the loop's one policy, by disposition
            return self._failed(error)
        self._failures = 0
        return 0.0 if worked else self._idle * random.uniform(*SPREAD)  # noqa: S311 - spreading load, not a secret

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        code = error.code if isinstance(error, SluiceError) else type(error).__name__
        _step_failures.labels(self.name, code).inc()
        if isinstance(error, SluiceError) and error.disposition is Disposition.ACK:
            # Expected: the step has written what it had to and the next one is due, unless it keeps saying so.
            log.info("step_ended", component=self.name, code=code)
            return SHORT_WAIT if self._failures <= EXPECTED_IN_A_ROW else _backoff(self._failures)
        if isinstance(error, SluiceError):
            log.warning("step_failed", component=self.name, code=code, error_detail=error.detail)
        else:
            log.error("step_failed", component=self.name, exc_info=error)
        return _backoff(self._failures)


def worker_loop(
    name: str, step: Callable[[], Awaitable[bool]], idle: float = 1.0, wake: asyncio.Event | None = None
) -> Loop:
    return Loop(name, step, idle, wake)


async def wait_for_event(event: asyncio.Event, seconds: float) -> bool:
    """True if the event came in time."""
    return await wait_for_any(seconds, event)


async def wait_for_any(seconds: float, *events: asyncio.Event) -> bool:
    """Returns at the first event or after `seconds`; True if one of them is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
    return any(event.is_set() for event in events)


def _backoff(failures: int) -> float:
    """Full jitter, so that replicas which failed together do not come back together."""
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10))
    return random.uniform(FIRST_WAIT / 2, ceiling)  # noqa: S311 - spreading load, not a secret
