"""What the suites of bus, outbox and jobs are given."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from libs.common.database.engine import Database
from libs.common.events import CATALOG
from libs.local.postgres import Postgres
from tests.integration.bus import rig

SERVICE = "auth"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures are made on purpose here; without a configuration each would be drawn with every local variable."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)


@pytest.fixture
async def name(postgres: Postgres) -> str:
    """A database of this test's own, with the kernel's tables of one service."""
    return await rig.new_database(postgres, [SERVICE])


@pytest.fixture
async def db(postgres: Postgres, name: str) -> AsyncIterator[Database]:
    async with rig.service_database(postgres, SERVICE, name) as database:
        yield database


@pytest.fixture
async def bus(kafka: str) -> rig.Bus:
    """The session's broker, with the topics of this service empty."""
    bus = rig.bus_of(kafka)
    await rig.fresh_topics(bus, [topic.name for topic in CATALOG if topic.owner == SERVICE])
    return bus
