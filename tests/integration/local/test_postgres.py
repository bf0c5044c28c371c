"""The cluster: its roles may do what they must and no more, and a kill leaves nothing in the way."""

import os

import asyncpg
import pytest

from libs.local import roles
from libs.local.ports import free_port
from libs.local.postgres import ADMIN, Postgres, forget_dead_server, prepare_cluster
from libs.local.state import SERVICES
from tests.support.running import Running
from tests.support.stack import temporary_state


@pytest.mark.parametrize("service", SERVICES)
async def test_owner_makes_tables_that_app_and_worker_fill(postgres: Postgres, service: str) -> None:
    owner = await asyncpg.connect(postgres.dsn(f"{service}_owner"))
    await owner.execute("CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, v vector(2), t text)")
    for role in (f"{service}_app", f"{service}_worker"):
        connection = await asyncpg.connect(postgres.dsn(role))
        await connection.execute("INSERT INTO thing (v, t) VALUES ('[1,2]', 'word')")
        assert await connection.fetchval("SELECT similarity(t, 'word') FROM thing LIMIT 1") == 1
        await connection.close()
    await owner.execute("DROP TABLE thing")
    await owner.close()


@pytest.mark.parametrize("statement", ["CREATE TABLE x (n int)", "CREATE TABLE public.x (n int)", "CREATE SCHEMA x"])
async def test_serving_role_cannot_create(postgres: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(postgres.dsn("sync_app"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_service_cannot_see_into_another(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.dsn("sync_app"))
    assert not await connection.fetchval("SELECT has_schema_privilege('auth', 'USAGE')")
    await connection.close()


async def test_no_login_role_but_the_admin_has_power(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.dsn(ADMIN))
    query = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND (rolsuper OR rolbypassrls OR rolcreaterole)"
    assert [row["rolname"] for row in await connection.fetch(query)] == [ADMIN]
    await connection.close()


async def test_wrong_password_is_refused(postgres: Postgres) -> None:
    right = postgres.passwords()["auth_app"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.dsn("auth_app").replace(right, "wrong"))


async def test_preparing_again_changes_no_rights(postgres: Postgres) -> None:
    async def rights() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(postgres.dsn(ADMIN))
        found = await connection.fetch(
            "SELECT nspname, nspowner, nspacl::text FROM pg_namespace UNION ALL "
            "SELECT defaclnamespace::regnamespace::text, defaclrole, defaclacl::text FROM pg_default_acl "
            "ORDER BY 1, 2, 3"
        )
        await connection.close()
        return found

    before = await rights()
    assert await prepare_cluster(postgres)
    assert await rights() == before
    assert len(before) > 2 * len(roles.all_roles()) // 3


async def test_lock_of_a_killed_server_whose_id_another_has_does_not_block_the_start() -> None:
    with temporary_state() as state:
        cluster = Postgres(state, free_port(), {"fsync": "off"})
        process = Running(cluster.spec(), state.logs)
        process.start()
        process.kill()
        lock = cluster.data / "postmaster.pid"
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        process.start()
        assert int(lock.read_text().splitlines()[0]) == process.pid
        process.stop()


async def test_lock_of_a_living_server_is_respected() -> None:
    with temporary_state() as state:
        cluster = Postgres(state, free_port(), {"fsync": "off"})
        process = Running(cluster.spec(), state.logs)
        process.start()
        lock = cluster.data / "postmaster.pid"
        forget_dead_server(lock)
        assert lock.exists()
        process.stop()


async def test_interrupted_first_start_is_begun_again() -> None:
    with temporary_state() as state:
        (state.postgres / "draft").mkdir(parents=True)
        (state.postgres / "draft" / "PG_VERSION").write_text("18")
        process = Running(Postgres(state, free_port(), {"fsync": "off"}).spec(), state.logs)
        process.start()
        assert not (state.postgres / "initial-password").exists()
        process.stop()
