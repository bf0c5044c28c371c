"""A consumer in a process of its own: killed at a crash point, stopped in mid-transaction, or told to leave."""

import asyncio
import os
import signal
from pathlib import Path

from libs.common.bus.consume import ConsumerComponent, Consumers, create_consumer_component
from libs.common.database.engine import Database
from libs.common.events import IntegrationConnected
from libs.common.testing.crashpoints import crashpoint
from libs.common.testing.eventually import eventually
from tests.integration.bus import rig

consumers = Consumers(os.environ["GROUP"])
# `key:version` of what this process raises on, or dies of; every n-th transaction stops it until somebody wakes it.
POISON = set(os.environ.get("POISON", "").split())
DEADLY = os.environ.get("DEADLY")
WORKSPACE = os.environ.get("WORKSPACE")  # where effects are written, if not in the event's own
STOP_EVERY = int(os.environ.get("STOP_EVERY", "0"))
JOINED = Path(os.environ["JOINED"]) if "JOINED" in os.environ else None
handled = 0


@consumers.consume(IntegrationConnected)
async def on_connected(event: IntegrationConnected, db: Database) -> None:
    place = f"{event.integration_id}:{event.version}"
    if place == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if place in POISON:
        raise KeyError("a bug of ours")
    async with db.transaction(WORKSPACE or event.workspace_id) as tx:
        await rig.write_effects(tx, event)
        crashpoint("room.mid_transaction")
        stop_now_and_then()


def stop_now_and_then() -> None:
    global handled
    handled += 1
    if STOP_EVERY and handled % STOP_EVERY == 0:
        os.kill(os.getpid(), signal.SIGSTOP)


async def main() -> None:
    db = Database("auth", app_url=os.environ["APP_URL"], worker_url=os.environ["WORKER_URL"])
    bus = rig.Bus(os.environ["BOOTSTRAP"], os.environ["FLAVOUR"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    component = create_consumer_component(consumers, db, db, bus)
    announcing = asyncio.create_task(announce(component))
    await component.run(stop)
    await announcing
    await db.close()


async def announce(member: ConsumerComponent) -> None:
    """Makes the file JOINED as soon as partitions are ours."""
    if JOINED:
        await eventually(lambda: bool(member.assigned), timeout=60)
        JOINED.touch()


asyncio.run(main())
