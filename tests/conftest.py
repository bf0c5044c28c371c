"""What every suite shares: the stack's fixtures, and marks taken from where a test lies and what it uses."""

import gc
from collections.abc import Generator
from pathlib import Path

import pytest

pytest_plugins = [
    "tests.support.browser",
    "tests.support.figures",
    "tests.support.fixtures",
    "tests.support.models",
    "tests.support.order",
]

SUITES = {"house", "unit", "properties", "contract", "integration", "e2e", "chaos"}
# Whoever uses one of these runs once more on a real Kafka.
BROKER_FIXTURES = {"kafka", "session_broker", "broker_process"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "broker: uses a broker, embedded or real (set by fixture)")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded stays: to look through it for garbage again and again was a third of what loading it cost."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and (suite := item.path.relative_to(here).parts[0]) in SUITES:
            item.add_marker(suite)
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("broker")
