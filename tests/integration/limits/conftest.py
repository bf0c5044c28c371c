"""The shared budgets on a real Valkey; every test spends of accounts of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.limits.shared import Shared
from libs.local.valkey import Valkey


@pytest.fixture
async def shared(valkey: Valkey) -> AsyncIterator[Shared]:
    made = Shared(valkey.url, seconds=5.0)
    yield made
    await made.close()
