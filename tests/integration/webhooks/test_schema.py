"""The schema as the real migration made it: row-level security is forced, bodies are not compressed."""

from __future__ import annotations

import asyncpg
import pytest

from libs.local.postgres import Postgres
from services.webhooks.deps import Deps
from services.webhooks.tables import LOCATABLE, QUEUE_TABLES, TENANT_TABLES
from tests.integration.webhooks.world import World, recorded


async def test_every_table_with_a_workspace_forces_row_level_security(world: World) -> None:
    rows = await world.admin.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id'"
        " WHERE c.relnamespace = 'webhooks'::regnamespace AND c.relkind = 'r'"
    )
    assert set(TENANT_TABLES) <= {row["relname"] for row in rows}
    assert [row["relname"] for row in rows if not row["forced"]] == []


async def test_lists_of_tables_are_those_of_the_schema(world: World) -> None:
    located = await world.admin.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'webhooks'::regnamespace AND proname LIKE 'locate_%'"
    )
    queues = await world.admin.fetch(
        "SELECT tablename FROM pg_policies WHERE schemaname = 'webhooks' AND roles = '{webhooks_worker}'"
    )
    kernel = {"outbox", "dead_letter", "job", "erased_workspace"}
    assert {row["proname"] for row in located} == {f"locate_{table}" for table in LOCATABLE}
    assert {row["tablename"] for row in queues} - kernel == set(QUEUE_TABLES)


async def test_another_workspace_sees_no_row(world: World, deps: Deps) -> None:
    await world.post(recorded("issues__opened"))
    async with deps.db.transaction("another") as tx:
        assert [await tx.fetch_value(f"SELECT count(*) FROM {table}") for table in TENANT_TABLES] == [0] * 7


async def test_worker_role_sees_no_endpoint(world: World, migrated: Postgres) -> None:
    connection = await asyncpg.connect(migrated.dsn("webhooks_worker"))
    try:
        assert await connection.fetchval("SELECT count(*) FROM webhooks.endpoint") == 0
    finally:
        await connection.close()


async def test_delivery_of_one_workspace_cannot_name_the_endpoint_of_another(world: World) -> None:
    endpoint = world.url.rsplit("/", 1)[1]
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.admin.execute(
            "INSERT INTO delivery (id, workspace_id, endpoint_id, integration_id, provider, delivery_key, event,"
            " outcome, reason, body, body_hash, headers, received_at)"
            " VALUES ('x', 'another', $1, 'i', 'github', 'k', 'e', 'ignored', '', '', '', '{}', now())",
            endpoint,
        )


async def test_bodies_are_stored_without_compression(world: World) -> None:
    storage = await world.admin.fetchval(
        "SELECT attstorage FROM pg_attribute WHERE attrelid = 'webhooks.delivery'::regclass AND attname = 'body'"
    )
    assert storage == b"e"
