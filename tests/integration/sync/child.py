"""Another replica in a process of its own, for tests that kill one: works until nothing is due."""

from __future__ import annotations

import asyncio
import os

import asyncpg
import msgspec

from services.sync.settings import SyncSettings
from tests.integration.sync.double import Repo, World
from tests.integration.sync.engine import Broker, Engine


async def main() -> None:
    settings = msgspec.json.decode(os.environ["CHILD_SETTINGS"], type=SyncSettings)
    world = World()
    world.repos = msgspec.json.decode(os.environ["CHILD_REPOS"], type=dict[str, Repo])
    admin = await asyncpg.connect(settings.database_url)
    await Engine(settings, world, Broker(), admin).work()


if __name__ == "__main__":
    asyncio.run(main())
