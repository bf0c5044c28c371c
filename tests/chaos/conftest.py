"""One running installation for all of these tests; each test works in workspaces of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.stack import Stack, running_stack
from tests.support.figures import long_run

# `make chaos` alone: minutes of kills.
collect_ignore = [] if long_run() else ["test_long_run.py"]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with running_stack() as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").control.ask("DELETE", "faults")
