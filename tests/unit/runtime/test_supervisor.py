"""One failed part leaves its siblings serving; the end of a process has an order."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from libs.common import runtime
from libs.common.errors import DependencyDown, NotFound
from libs.common.http.operations import Operations
from libs.common.runtime import Kind, Late, Loop, Service, run_service, worker_loop
from libs.common.telemetry.metrics import value
from libs.common.testing import eventually as waiting

eventually = partial(waiting.eventually, interval=0.002)


class Part:
    """A component by a script; it writes what happens into the shared story."""

    def __init__(
        self, name: str, kind: Kind, story: list[str], run: Callable[[asyncio.Event], Awaitable[None]] | None = None
    ) -> None:
        self.name = name
        self.kind = kind
        self.runs = 0
        self._story = story
        self._run = run

    async def run(self, stop: asyncio.Event) -> None:
        self.runs += 1
        self._story.append(f"{self.name} started")
        if self._run is not None:
            await self._run(stop)
        await stop.wait()
        self._story.append(f"{self.name} ended")


@asynccontextmanager
async def running(service: Service, **options: object) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_service(service, stop=stop, **options))  # type: ignore[arg-type]
    try:
        yield stop
    finally:
        stop.set()
        await task


def operations() -> Operations:
    async def ready() -> dict[str, bool]:
        return {}

    return Operations("s", ready)


@pytest.fixture
def story() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FIRST_WAIT", 0.002)
    monkeypatch.setattr(runtime, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(runtime, "STEADY_SECONDS", 0.05)


async def test_failed_component_turns_red_restarts_and_leaves_siblings_serving(story: list[str]) -> None:
    broken = asyncio.Event()
    broken.set()

    async def fail(_stop: asyncio.Event) -> None:
        if broken.is_set():
            raise RuntimeError("no")

    failing, sibling = Part("failing", "consumers", story, fail), Part("sibling", "workers", story)
    service = Service(operations(), None, [failing, sibling])
    async with running(service):
        await eventually(lambda: failing.runs >= 3)
        assert service.operations.health.as_dict() == {"failing": False, "sibling": True}
        assert not service.operations.health.ready
        assert sibling.runs == 1
        broken.clear()
        await eventually(lambda: service.operations.health.ready)
    assert story[-2:] == ["failing ended", "sibling ended"]
    assert value("component_failures_total", component="failing") >= 3


async def test_component_that_returns_early_has_failed(story: list[str]) -> None:
    class Short(Part):
        async def run(self, stop: asyncio.Event) -> None:
            self.runs += 1

    short = Short("short", "workers", story)
    service = Service(operations(), None, [short])
    async with running(service):
        await eventually(lambda: short.runs >= 2)
        assert not service.operations.health.ready


async def test_workers_begin_while_a_late_component_is_still_loading(story: list[str]) -> None:
    may_load = threading.Event()

    def load() -> Part:
        assert may_load.wait(10)
        return Part("edge", "consumers", story)

    service = Service(operations(), None, [Late("edge", "consumers", load), Part("worker", "workers", story)])
    async with running(service):
        await eventually(lambda: story == ["worker started"])
        may_load.set()
        await eventually(lambda: story == ["worker started", "edge started"])
    assert story[2:] == ["edge ended", "worker ended"]


async def test_late_components_are_loaded_one_after_the_other(story: list[str]) -> None:
    both, together = threading.Barrier(2), []

    def load(name: str) -> Part:
        with suppress(threading.BrokenBarrierError):
            together.append(both.wait(0.2))
        return Part(name, "consumers", story)

    service = Service(operations(), None, [Late(name, "consumers", partial(load, name)) for name in ("one", "two")])
    async with running(service):
        await eventually(lambda: sorted(story) == ["one started", "two started"])
    assert not together


async def test_late_component_that_does_not_load_is_red_and_loaded_again(story: list[str]) -> None:
    broken = [True]

    def load() -> Part:
        if broken[0]:
            raise ImportError("no")
        return Part("edge", "consumers", story)

    async with running(service := Service(operations(), None, [Late("edge", "consumers", load)])):
        await eventually(lambda: service.operations.health.as_dict() == {"edge": False})
        broken[0] = False
        await eventually(lambda: story == ["edge started"] and service.operations.health.ready)


async def test_shutdown_stops_intake_then_work_then_relay_then_pools(story: list[str]) -> None:
    async def close(name: str) -> None:
        story.append(f"{name} closed")

    async def finish(stop: asyncio.Event) -> None:
        await stop.wait()
        assert "consumer ended" in story
        story.append("worker finished what it had")

    parts = [
        Part("relay", "relay", story),
        Part("worker", "workers", story, finish),
        Part("consumer", "consumers", story),
    ]
    service = Service(operations(), None, parts, on_close=[lambda: close("client"), lambda: close("database")])
    async with running(service):
        await eventually(lambda: len(story) == 3)
    assert story[3:] == [
        "consumer ended",
        "worker finished what it had",
        "worker ended",
        "relay ended",
        "client closed",
        "database closed",
    ]
    assert not service.operations.health.ready


async def test_shutdown_is_bounded_by_its_grace(story: list[str]) -> None:
    async def deaf(_stop: asyncio.Event) -> None:
        await asyncio.Event().wait()

    async def close() -> None:
        story.append("closed")

    service = Service(operations(), None, [Part("deaf", "workers", story, deaf)], on_close=[close])
    began = asyncio.get_running_loop().time()
    async with running(service, grace=0.1):
        await eventually(lambda: bool(story))
    assert asyncio.get_running_loop().time() - began < 2
    assert story == ["deaf started", "closed"]


async def test_pool_that_fails_to_close_leaves_the_others_closing(story: list[str]) -> None:
    async def fail() -> None:
        raise OSError("no")

    async def close() -> None:
        story.append("closed")

    async with running(Service(operations(), None, [], on_close=[fail, close])):
        pass
    assert story == ["closed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_service(story: list[str], number: int) -> None:
    service = Service(operations(), None, [Part("worker", "workers", story)])
    task = asyncio.create_task(run_service(service))
    await eventually(lambda: bool(story))
    os.kill(os.getpid(), number)
    await asyncio.wait_for(task, 20)
    assert story == ["worker started", "worker ended"]


@pytest.mark.parametrize(
    ("only", "started"),
    [
        (None, {"consumer", "worker", "relay"}),
        ("consumers", {"consumer"}),
        ("workers", {"worker", "relay"}),
        ("http", set()),
    ],
)
async def test_only_runs_the_chosen_kind(story: list[str], only: str | None, started: set[str]) -> None:
    parts = [Part("consumer", "consumers", story), Part("worker", "workers", story), Part("relay", "relay", story)]
    service = Service(operations(), None, parts)
    async with running(service, only=only):
        await eventually(lambda: len(story) == len(started))
        assert {line.split()[0] for line in story} == started
        assert set(service.operations.health.as_dict()) == started


class Work:
    """A step that has `left` things to do."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.done = 0
        self.asked = 0
        self.errors: list[Exception] = []

    async def step(self) -> bool:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.left == 0:
            return False
        self.left -= 1
        self.done += 1
        return True


@asynccontextmanager
async def looping(loop: Loop) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def test_loop_works_until_nothing_is_left_and_then_idles() -> None:
    work = Work(left=50)
    async with looping(worker_loop("l", work.step, idle=60)):
        await eventually(lambda: work.done == 50)
    assert work.asked == 51


async def test_loop_wakes_when_it_is_told() -> None:
    work, wake = Work(), asyncio.Event()
    async with looping(worker_loop("l", work.step, idle=60, wake=wake)):
        await eventually(lambda: work.asked == 1)
        work.left = 3
        wake.set()
        await eventually(lambda: work.done == 3)


async def test_wake_during_a_step_is_not_slept_over() -> None:
    wake, asked = asyncio.Event(), 0

    async def step() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            wake.set()
        return False

    async with looping(Loop("l", step, idle=60, wake=wake)):
        await eventually(lambda: asked == 2)


async def test_loop_looks_again_after_idling() -> None:
    work = Work()
    async with looping(Loop("l", work.step, idle=0.001)):
        await eventually(lambda: work.asked >= 5)


@pytest.mark.parametrize("error", [RuntimeError("bug"), DependencyDown(), NotFound()])
async def test_loop_survives_what_its_step_raises(error: Exception) -> None:
    work = Work(left=2)
    work.errors = [error] * 6
    async with looping(Loop("survivor", work.step, idle=60)):
        await eventually(lambda: work.done == 2)
    code = getattr(error, "code", type(error).__name__)
    assert value("loop_failures_total", loop="survivor", code=code) >= 6


async def test_failing_loop_backs_off_and_ignores_wakes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FIRST_WAIT", 60.0)
    monkeypatch.setattr(runtime, "LONGEST_WAIT", 60.0)
    work, wake = Work(), asyncio.Event()
    work.errors = [RuntimeError("bug")] * 100
    async with looping(Loop("l", work.step, idle=0, wake=wake)):
        await eventually(lambda: work.asked == 1)
        wake.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert work.asked == 1


async def test_busy_loop_ends_when_it_is_told_and_starves_nobody() -> None:
    """A step that never yields to others (no real await) must not hold the whole process."""

    async def always() -> bool:
        return True

    async with looping(Loop("l", always)):
        await asyncio.sleep(0)
