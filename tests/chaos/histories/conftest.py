"""A database cluster for the histories; the running installation of the other chaos tests is not needed here."""

from __future__ import annotations

import pytest

from libs.local.postgres import Postgres
from tests.chaos.histories.lane import migrated


@pytest.fixture(scope="session")
def schema(postgres: Postgres) -> Postgres:
    return migrated(postgres)
