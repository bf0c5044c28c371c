"""A measured value on a line of its own, also of a test that passes; and how large a run is meant to be."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

Tell = Callable[[str, float, str, object], None]


def long_run() -> bool:
    """`make chaos` asks for the long sizes, CI for its own."""
    return os.environ.get("SLUICE_CHAOS") == "long"


def sized(ci: int, long: int) -> int:
    return long if long_run() else ci


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str]) -> Tell:
    """(name, value, unit, against)"""

    def tell(name: str, value: float, unit: str, against: object) -> None:
        with capsys.disabled():
            print(f"\nfigure {name} value={value:g} unit={unit} against={against}")

    return tell
