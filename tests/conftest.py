"""What every suite shares: the stack's fixtures, and marks taken from the directory a test lies in."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.support.stack"]

SUITES = {
    "unit": "no I/O",
    "contract": "schemas and provider contracts",
    "integration": "one room against real Postgres, Valkey and broker",
    "e2e": "all services, from connect to search",
    "chaos": "kills, duplicates, disorder",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in SUITES.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and (suite := item.path.relative_to(here).parts[0]) in SUITES:
            item.add_marker(suite)
