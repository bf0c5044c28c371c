"""A measured value on a line of its own, also of a test that passes; how large a run is to be, and how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

FIGURE = "figure"
Tell = Callable[[str, float, str, object], None]
Progress = Callable[..., None]
PROGRESS_EVERY_S = 20.0
# The limits of tests are those of their CI sizes. A long size may take this long where it says no more itself.
LONG_TIMEOUT_S = 1800


def long_run() -> bool:
    """`make chaos` asks for the long sizes, CI for its own."""
    return os.environ.get("SLUICE_CHAOS") == "long"


def sized(ci: int, long: int) -> int:
    return long if long_run() else ci


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Tell:
    """(name, value, unit, against)"""

    def tell(name: str, value: float, unit: str, against: object) -> None:
        line = f"figure {name} value={value:g} unit={unit} against={against}"
        request.node.user_properties.append((FIGURE, line))

    return tell


@pytest.fixture
def progress(request: pytest.FixtureRequest) -> Progress:
    """(done, of, **what=…): now and then a line while a long run goes on. CI sizes are over before one is due."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    began = told = time.monotonic()

    def tell(done: int, of: int, **what: object) -> None:
        nonlocal told
        now = time.monotonic()
        if not long_run() or now - told < PROGRESS_EVERY_S:
            return
        told = now
        more = "".join(f" {name}={value}" for name, value in what.items())
        with capture.global_and_fixture_disabled():
            print(f"\nprogress {request.node.name} {done} of {of} in {now - began:.0f} s{more}", flush=True)

    return tell


class Figures:
    """Prints what tests told, also those that ran in another process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.when == "call" and terminal is not None:
            for name, line in report.user_properties:
                if name == FIGURE:
                    terminal.ensure_newline()
                    terminal.write_line(str(line))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if long_run() else ():
        said = item.get_closest_marker("timeout")
        limit = max([LONG_TIMEOUT_S, *(said.args if said else ())])
        item.add_marker(pytest.mark.timeout(limit), append=False)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Figures(config), "figures")
