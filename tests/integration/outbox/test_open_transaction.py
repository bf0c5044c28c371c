"""A transaction that somebody forgot holds back neither the events of the others nor its own for ever (L06)."""

import asyncpg
import pytest

from libs.common.database.engine import Database
from libs.common.errors import DependencyDown
from libs.common.outbox.relay import Relay
from libs.common.testing.eventually import eventually
from tests.integration.bus import rig
from tests.support.figures import Tell

OTHERS = 200


async def test_open_write_transaction_holds_back_no_event_of_another(db: Database, bus: rig.Bus, figure: Tell) -> None:
    """By xid or by id a reader would wait for it: a relay that asks what is unpublished does not."""
    async with rig.running(Relay(db, "auth", bus)):
        async with db.transaction(rig.WORKSPACE) as tx:
            await tx.emit(rig.connected("late", 1))
            await rig.write_events(db, OTHERS)

            async def others_are_out() -> None:
                assert len(rig.ids_of(await rig.everything(bus))) == OTHERS

            await eventually(others_are_out, timeout=30)
        await eventually(lambda: rig.all_published(db), timeout=30)
    ids = rig.ids_of(await rig.everything(bus))
    figure("L06", len(await rig.event_ids(db) - set(ids)), "lost", OTHERS + 1)
    assert set(ids) == await rig.event_ids(db)
    assert len(ids) == OTHERS + 1


async def test_forgotten_transaction_is_ended_by_the_server_and_leaves_nothing(db: Database, bus: rig.Bus) -> None:
    with pytest.raises((asyncpg.PostgresError, DependencyDown)):
        await _forget(db)
    assert await rig.event_ids(db) == set()
    async with rig.running(Relay(db, "auth", bus)):  # the pool gives out a living connection again
        await rig.write_events(db, 1)
        await eventually(lambda: rig.all_published(db), timeout=30)


async def _forget(db: Database) -> None:
    async with db.transaction(rig.WORKSPACE) as tx:
        await tx.execute("SET LOCAL idle_in_transaction_session_timeout = '1s'")
        await tx.emit(rig.connected("forgotten", 1))
        await _wait_until_ended(db)
        await tx.execute("SELECT 1")


async def test_every_connection_has_its_limits_from_the_pool(db: Database) -> None:
    async with db.transaction(rig.WORKSPACE) as tx:
        found = [
            await tx.fetch_value(f"SHOW {name}")
            for name in ("transaction_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
        ]
    assert found == ["1min", "15s", "5s"]


async def _wait_until_ended(db: Database) -> None:
    """No transaction of the app role is open any more."""

    async def none_open() -> bool:
        async with db.queue() as tx:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'auth_app' AND datname = current_database()"
            return int(await tx.fetch_value(sql)) == 0

    await eventually(none_open, timeout=20)
