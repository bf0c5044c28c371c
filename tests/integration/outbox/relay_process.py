"""A relay in a process of its own, so that it can be killed at a crash point: nothing tidies up after it."""

import asyncio
import os

from libs.common.database.engine import Database
from libs.common.outbox.relay import Relay
from tests.integration.bus.rig import Bus


async def main() -> None:
    db = Database("auth", app_url=os.environ["APP_URL"], worker_url=os.environ["WORKER_URL"])
    bus = Bus(os.environ["BOOTSTRAP"], os.environ["FLAVOUR"])
    await Relay(db, "auth", bus, batch=int(os.environ["BATCH"])).run(asyncio.Event())


asyncio.run(main())
