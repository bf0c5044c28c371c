"""A database cluster for the histories; the running installation of the other chaos tests is not needed here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.local.postgres import Postgres
from tests.chaos.histories.lane import Lane, open_lane
from tests.support.schemas import migrate_schemas


@pytest.fixture(scope="session")
def schema(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, "sync")


@pytest.fixture
async def lane(schema: Postgres, tmp_path: Path) -> AsyncIterator[Lane]:
    async with open_lane(schema, tmp_path, "one_lane") as made:
        yield made
