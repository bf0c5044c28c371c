"""An absent server pauses its callers; a mistake of ours must not look like it, or it would be waited out for ever."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from libs.common.database.engine import Database
from libs.common.errors import DependencyDown
from libs.common.testing.eventually import eventually
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from tests.integration.bus import rig
from tests.support.running import Running
from tests.support.stack import temporary_state


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT CAST(:number AS integer)", {"number": "not a number"}),
        ("SELECT CAST(:text AS text)", {"text": 5}),
        ("SELECT CAST(:text AS text)", {"text": "nul \0 byte"}),
        ("SELECT nobody FROM nowhere", {}),
        ("SELECT 1 / 0", {}),
        ("SELECT pg_sleep(5)", {}),
    ],
)
async def test_a_mistake_of_ours_is_not_an_absence(db: Database, sql: str, parameters: dict[str, object]) -> None:
    async def mistaken() -> None:
        async with db.transaction("ws") as tx:
            await tx.execute("SET LOCAL statement_timeout = '100ms'")
            await tx.execute(sql, **parameters)

    with pytest.raises(DBAPIError):
        await mistaken()
    async with db.transaction("ws") as tx:
        assert await tx.fetch_value("SELECT 1") == 1


async def test_a_backend_ended_in_mid_transaction_is_an_absence(postgres: Postgres, name: str, db: Database) -> None:
    pid = 0

    async def ended() -> None:
        nonlocal pid
        async with db.queue() as tx:
            pid = await tx.fetch_value("SELECT pg_backend_pid()")
            await _end_backend(postgres, name, pid)
            await tx.execute("SELECT 1")

    with pytest.raises(DependencyDown):
        await ended()
    async with db.queue() as tx:
        assert await tx.fetch_value("SELECT pg_backend_pid()") != pid


async def _end_backend(postgres: Postgres, name: str, pid: int) -> None:
    admin = await asyncpg.connect(postgres.dsn("postgres", name))
    await admin.execute("SELECT pg_terminate_backend($1, 2000)", pid)
    await admin.close()


async def test_a_server_that_is_killed_is_an_absence_until_it_answers_again() -> None:
    with temporary_state() as state:
        cluster = Postgres(state, free_port())
        process = Running(cluster.spec(), state.logs)
        process.start()
        try:
            name = await rig.new_database(cluster, ["auth"])
            async with rig.service_database(cluster, "auth", name) as db:
                assert await db.ready()
                process.kill()
                for _ in range(3):
                    with pytest.raises(DependencyDown):
                        async with db.queue() as tx:
                            await tx.execute("SELECT 1")
                assert not await db.ready()
                process.launch()

                # Every answer on the way up is an absence: refused, starting up, not yet accepting connections.
                async def back() -> bool:
                    return await db.ready()

                await eventually(back, timeout=20, interval=0.005)
        finally:
            process.stop()
