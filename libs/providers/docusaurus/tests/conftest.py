"""The served site and a copy of it, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.providers.docusaurus.tests.copied import Copy
from libs.providers.docusaurus.tests.served import Served, open_site

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Served]:
    served = open_site(CHECKOUT, tmp_path)
    yield served
    await served.client.aclose()
    await served.sandbox.close()


@pytest.fixture
def copy(site: Served) -> Copy:
    return Copy(site)
