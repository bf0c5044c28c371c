"""The embedding model that `make install` fetches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libs.local.models import ModelUnavailable, fetch
from libs.local.state import State

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def bundled_model() -> Path:
    """Where its files lie. A model that cannot be had is a skip on somebody's machine, never in CI."""
    try:
        return fetch(State.at(CHECKOUT))
    except ModelUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
