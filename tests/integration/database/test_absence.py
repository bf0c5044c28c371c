"""An absent server pauses its callers; a mistake of ours must not look like it, or it would be waited out for ever."""

import asyncio
from collections.abc import Iterable
from threading import Thread

import asyncpg
import pytest

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

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
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


async def test_connections_that_end_while_nobody_uses_them_are_no_absence(
    postgres: Postgres, name: str, db: Database
) -> None:
    async def pid_of(_: int) -> int:
        async with db.queue() as tx:
            return int(await tx.fetch_value("SELECT pg_backend_pid() FROM pg_sleep(0.1)"))

    before = set(await asyncio.gather(*map(pid_of, range(4))))
    ending = Thread(target=lambda: asyncio.run(_end_backends(postgres, name, before)))
    ending.start()
    ending.join()  # holds this loop: it has heard of nothing when the next transactions begin
    after = set(await asyncio.gather(*map(pid_of, range(4))))
    assert len(before) == len(after) == 4
    assert not before & after


async def test_a_transaction_that_is_cancelled_leaves_its_connection_usable(db: Database) -> None:
    begun = asyncio.Event()

    async def wait_for_ever() -> None:
        async with db.queue() as tx:
            begun.set()
            await tx.execute("SELECT pg_sleep(60)")

    for _ in range(8):  # more than there are connections
        begun.clear()
        waiting = asyncio.create_task(wait_for_ever())
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'") <= 1


async def test_a_cancellation_that_the_server_missed_holds_nobody_up(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(connection: object, sent: asyncio.Future[None], done: object = None) -> None:
        sent.set_result(None)

    monkeypatch.setattr(asyncpg.Connection, "_cancel_current_command", lost)
    begun = asyncio.Event()

    async def wait_for_long() -> None:
        async with db.queue() as tx:
            begun.set()
            await tx.execute("SELECT pg_sleep(25)")

    waiting = asyncio.create_task(wait_for_long())
    await begun.wait()
    waiting.cancel()
    done, _ = await asyncio.wait([waiting], timeout=10)
    assert done
    assert waiting.cancelled()
    async with db.queue() as tx:
        assert await tx.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize("workspace", ["ws", "o'brien", "'; DROP TABLE outbox; --", "\\", "\\'", "ünïcode", ""])
async def test_a_transaction_is_of_the_workspace_that_it_names_whatever_the_name(db: Database, workspace: str) -> None:
    async with db.transaction(workspace) as tx:
        assert await tx.fetch_value("SELECT current_setting('app.workspace')") == workspace
    async with db.queue() as tx:
        assert not await tx.fetch_value("SELECT current_setting('app.workspace', true)")


async def test_json_comes_as_values(db: Database) -> None:
    given = '{"a": [1, 2.5, null, "ü"]}'
    async with db.transaction("ws") as tx:
        for kind in ("json", "jsonb"):
            found = await tx.fetch_value(f"SELECT CAST(:given AS {kind})", given=given)
            assert found == {"a": [1, 2.5, None, "ü"]}


async def _end_backends(postgres: Postgres, name: str, pids: Iterable[int]) -> None:
    for pid in pids:
        await _end_backend(postgres, name, pid)


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
