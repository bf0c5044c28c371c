"""The relay killed three hundred times (F02 in its long size); `make chaos` alone."""

import random

import pytest

from libs.common.database.engine import Database
from libs.common.outbox.relay import Relay
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.figures import Progress, Tell

KILLS, EVENTS, SEED = 300, 10_000, 7
POINTS = ("relay.picked", "relay.sent", "relay.acked", "relay.marked")
# The term of the dead is waited out in the CI size; three hundred times three seconds are a quarter of an hour.
END_TERM = "UPDATE relay SET lease_until = '-infinity'"


@pytest.mark.timeout(3600)
async def test_three_hundred_kills_of_the_relay_lose_nothing_of_ten_thousand(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, figure: Tell, progress: Progress
) -> None:
    choice, batch = random.Random(SEED), 50
    killed = written = 0
    while killed < KILLS:
        await rig.write_events(db, EVENTS // KILLS + 1, first=1 + written)
        written += EVENTS // KILLS + 1
        crash = {"SLUICE_CRASHPOINT": f"{choice.choice(POINTS)}:1", "BATCH": str(batch)}
        async with rig.process("tests.integration.outbox.relay_process", postgres, name, bus, **crash) as child:
            killed += await rig.killed(child)
        async with db.queue() as tx:
            await tx.execute(END_TERM)
        progress(killed, KILLS, written=written, seed=SEED)
    async with rig.running(Relay(db, "auth", bus, batch=batch)):
        await eventually(lambda: rig.all_published(db), timeout=60)
    records = rig.ids_of(await rig.everything(bus))
    lost, repeated = len(await rig.event_ids(db) - set(records)), len(records) - len(set(records))
    figure("F02_long", lost, "lost", written)
    figure("F02_long_broker_duplicates", repeated, "records", killed * batch)
    assert lost == 0
    assert repeated <= killed * batch
