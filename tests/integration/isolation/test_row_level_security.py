"""Every tenant table of every service is walled by the database itself, not by our care in writing SQL."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import asyncpg
import pytest

from libs.common.database.engine import Database
from libs.local.postgres import Postgres
from tests.support.schemas import migrate_schemas

SERVICES = ("auth", "webhooks", "sync", "chunker")
KERNEL_QUEUES = {"outbox", "dead_letter", "job", "erased_workspace"}

TENANT_TABLES = """
SELECT n.nspname AS service, c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
  array(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
  array(
    SELECT r.rolname::text FROM pg_policy p JOIN pg_roles r ON r.oid = ANY(p.polroles) WHERE p.polrelid = c.oid
  ) AS roles
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id' AND NOT a.attisdropped
WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p')
ORDER BY 1, 2
"""


@pytest.fixture(scope="module")
def migrated(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, *SERVICES)


@pytest.fixture
async def tables(migrated: Postgres) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(migrated.dsn("postgres"))
    try:
        return [dict(row) for row in await connection.fetch(TENANT_TABLES, list(SERVICES))]
    finally:
        await connection.close()


async def test_every_table_with_a_workspace_forces_row_level_security(tables: list[dict[str, Any]]) -> None:
    assert {table["service"] for table in tables} == set(SERVICES)
    open_tables = [
        f"{t['service']}.{t['name']}" for t in tables if not (t["enabled"] and t["forced"] and t["policies"])
    ]
    assert open_tables == []
    print(f"figure forced_rls value={len(tables)} unit=tables against={len(tables)}")


async def test_worker_role_reads_named_queue_tables_only(tables: list[dict[str, Any]]) -> None:
    named = {service: importlib.import_module(f"services.{service}.tables") for service in SERVICES}
    for table in tables:
        service = table["service"]
        queues = KERNEL_QUEUES | set(named[service].QUEUE_TABLES)
        assert (f"{service}_worker" in table["roles"]) == (table["name"] in queues), table


async def test_every_tenant_table_is_told_in_its_service(tables: list[dict[str, Any]]) -> None:
    """A table that no list names would be forgotten by an erasure."""
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.tables")
        told = set(module.TENANT_TABLES) | set(module.QUEUE_TABLES) | KERNEL_QUEUES | {"data_key"}
        assert {table["name"] for table in tables if table["service"] == service} <= told, service


async def test_serving_roles_own_nothing_and_bypass_nothing(migrated: Postgres) -> None:
    connection = await asyncpg.connect(migrated.dsn("postgres"))
    try:
        roles = [f"{service}_{kind}" for service in SERVICES for kind in ("app", "worker")]
        strong = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY($1) AND (rolsuper OR rolbypassrls OR rolcreaterole)",
            roles,
        )
        owners = await connection.fetch(
            "SELECT relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = ANY($1)", roles
        )
    finally:
        await connection.close()
    assert list(strong) == []
    assert list(owners) == []


async def test_transaction_without_or_with_another_workspace_sees_no_row(migrated: Postgres) -> None:
    """After a rollback, a cancel and a reused pool, too: the setting ends with its transaction."""
    db = Database(
        "chunker",
        app_url=migrated.dsn("chunker_app"),
        worker_url=migrated.dsn("chunker_worker"),
        app_pool=1,
    )
    insert = "INSERT INTO known_workspace (workspace_id) VALUES (:workspace)"
    count = "SELECT count(*) FROM known_workspace"
    try:
        async with db.transaction("ours") as tx:
            await tx.execute(insert, workspace="ours")
        with pytest.raises(RuntimeError):
            async with db.transaction("ours"):
                raise RuntimeError("rolled back")
        task = asyncio.create_task(hold(db))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with db.transaction("theirs") as tx:
            assert await tx.fetch_value(count) == 0
            assert await tx.execute("DELETE FROM known_workspace") == 0
        async with db.transaction("") as tx:
            assert await tx.fetch_value(count) == 0
        async with db.transaction("ours") as tx:
            assert await tx.fetch_value(count) == 1
        with pytest.raises(Exception, match="row-level security"):
            async with db.transaction("theirs") as tx:
                await tx.execute(insert, workspace="ours")
    finally:
        await db.close()


async def hold(db: Database) -> None:
    async with db.transaction("ours") as tx:
        await tx.fetch_value("SELECT pg_sleep(5)")
