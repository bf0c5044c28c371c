"""F18: a body that breaks off at each page of a hundred: no half page is committed, none is lost or read thrice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from tenacity import wait_none

from libs.common.http.outbound import OutboundClient
from libs.common.provider.http import GrantedHttp
from libs.common.testing.eventually import eventually
from services.sync.workers.ahead import MOST_WAITING
from services.sync.workers.executor import Executor
from tests.chaos.histories.bodies import KINDS, BytesServer
from tests.chaos.histories.lane import Lane
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker, Engine
from tests.support.figures import Tell, long_run

pytestmark = pytest.mark.timeout(120)

PAGES, ITEMS = 100, 3
# A page that drips is given up after this long; so many resources wait at a time.
PAGE_SECONDS = 1.0
AT_A_TIME = 25
# In CI each page breaks in one way, in a long run in each.
RUNS = [KINDS, *((kind,) for kind in KINDS)] if long_run() else [KINDS]
COMMITTED = "SELECT count(*) FROM source s JOIN resource r ON r.id = s.resource_id WHERE r.external_id = $1"


class Wired(Engine):
    """Reads its provider through the real client, over TCP."""

    endpoint = ""

    async def open(self, endpoint: str) -> None:
        self.client, self.endpoint = OutboundClient([endpoint], backoff=wait_none()), endpoint

    def open_http(self, provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        url = f"http://{self.endpoint}"
        return GrantedHttp(self.client, api_url=url, base_url=url, token=token, validators=validators)


@pytest.fixture
async def engine(lane: Lane) -> AsyncIterator[Wired]:
    settings = msgspec.structs.replace(lane.settings, sync_page_seconds=PAGE_SECONDS, sync_retry_seconds=0.01)
    made = Wired(settings, World(page_size=ITEMS), Broker(), lane.admin)
    yield made
    await made.close()
    await made.client.aclose()


class Witness:
    """Sees each page asked for: those before it are committed whole, but for what is in one commit or waits."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._one = lane, asyncio.Lock()
        self.wrong: list[str] = []

    async def __call__(self, path: str) -> None:
        resource, page = path.split("/")[2], int(path.rsplit("page=", 1)[1])
        async with self._one:
            found = await self._lane.admin.fetchval(COMMITTED, resource)
        if found % ITEMS or not 0 <= page * ITEMS - found <= 2 * MOST_WAITING * ITEMS:
            self.wrong.append(f"{path} was asked with {found} committed")


async def _worked(engine: Wired, executors: list[Executor]) -> bool:
    await asyncio.gather(*(executor.step() for executor in executors))
    return bool(await engine.one("SELECT count(*) = 0 FROM work"))


@pytest.mark.parametrize("kinds", RUNS, ids="-".join)
async def test_body_that_breaks_at_every_page_loses_and_doubles_nothing(
    engine: Wired, lane: Lane, kinds: tuple[str, ...], figure: Tell
) -> None:
    resources = [str(number) for number in range(1, AT_A_TIME + 1)]
    each = PAGES // len(resources)
    for resource in resources:
        engine.world.repo(resource, items=each * ITEMS)
    witness = Witness(lane)
    server = BytesServer(engine.world, kinds, "/items?", witness)
    await engine.open(await server.start())
    began = time.monotonic()
    await engine.connect(*resources, features=("issues",))
    await engine.discover()
    executors = [Executor(engine.deps, number) for number in range(len(resources))]
    await eventually(lambda: _worked(engine, executors), timeout=60, interval=0.01)

    asked = {path: count for path, count in server.served.items() if count != 2}
    missing = PAGES * ITEMS - await engine.one("SELECT count(*) FROM source WHERE NOT tombstone")
    figure("F18", len(asked) + missing + len(witness.wrong), "wrong", f"{PAGES} kinds={'+'.join(kinds)}")
    figure("F18_seconds", time.monotonic() - began, "s", 8)
    await server.stop()
    assert server.broken.total() == len(server.served) == PAGES
    assert server.broken.keys() == set(kinds)
    assert (asked, missing, witness.wrong) == ({}, 0, [])
    assert await engine.one("SELECT count(*) FROM source") == PAGES * ITEMS
