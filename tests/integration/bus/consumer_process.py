"""A consumer in a process of its own, so that it can be killed at a crash point or stopped in mid-transaction."""

import asyncio
import os

from libs.common.bus.consume import Consumers, create_consumer_component
from libs.common.database.engine import Database
from libs.common.events import IntegrationConnected
from libs.common.testing.crashpoints import crashpoint
from tests.integration.bus.rig import SEE, Bus

consumers = Consumers(os.environ["GROUP"])


@consumers.consume(IntegrationConnected)
async def on_connected(event: IntegrationConnected, db: Database) -> None:
    async with db.transaction(event.workspace_id) as tx:
        await tx.execute(SEE, workspace=event.workspace_id, key=event.integration_id, version=event.version)
        crashpoint("room.mid_transaction")


async def main() -> None:
    db = Database("auth", app_url=os.environ["APP_URL"], worker_url=os.environ["WORKER_URL"])
    bus = Bus(os.environ["BOOTSTRAP"], os.environ["FLAVOUR"])
    await create_consumer_component(consumers, db, db, bus).run(asyncio.Event())


asyncio.run(main())
