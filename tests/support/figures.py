"""A measured value on a line of its own, also of a test that passes; and how large a run is meant to be."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

FIGURE = "figure"
Tell = Callable[[str, float, str, object], None]


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


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Figures(config), "figures")
