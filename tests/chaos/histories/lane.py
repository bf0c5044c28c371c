"""A database of its own for one history after the other: workers claim across workspaces, so histories never share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from libs.common.command import DESCRIBING
from libs.common.database.engine import Database
from libs.common.security.principals import make_service_keys
from libs.common.settings import load_settings
from libs.local.postgres import Postgres
from services.sync.settings import SyncSettings
from services.sync.tables import QUEUE_TABLES, TENANT_TABLES

CLEAR = "; ".join(f"DELETE FROM {table}" for table in (*TENANT_TABLES, *QUEUE_TABLES, "outbox"))


class Lane:
    def __init__(
        self, settings: SyncSettings, pools: Database, admin: asyncpg.Connection[asyncpg.Record], state: Path
    ) -> None:
        self.settings, self.pools, self.admin, self.state = settings, pools, admin, state

    async def clear(self) -> None:
        await self.admin.execute(CLEAR)


@asynccontextmanager
async def open_lane(postgres: Postgres, state: Path, name: str) -> AsyncIterator[Lane]:
    """`name` is the database's: a copy of the migrated one, gone afterwards."""
    root = await asyncpg.connect(postgres.dsn("postgres", "postgres"))
    await root.execute("SELECT pg_advisory_lock(1)")  # a template serves one copy at a time
    await root.execute(f"CREATE DATABASE {name} TEMPLATE sluice")
    await root.execute("SELECT pg_advisory_unlock(1)")
    settings = _settings(postgres, state, name)
    urls = {"app_url": settings.database_url, "worker_url": settings.worker_database_url}
    pools = Database("sync", **urls, app_pool=6, worker_pool=4)
    admin = await asyncpg.connect(postgres.dsn("postgres", name))
    await admin.execute("SET search_path = sync, public")
    try:
        yield Lane(settings, pools, admin, state)
    finally:
        await admin.close()
        await pools.close()
        await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await root.close()


def _settings(postgres: Postgres, state: Path, name: str) -> SyncSettings:
    keys = state / f"keys-{name}"
    make_service_keys(keys, ["auth", "sync", "chunker"])
    return load_settings(
        SyncSettings,
        {
            **DESCRIBING, "DATABASE_URL": postgres.dsn("sync_app", name),
            "WORKER_DATABASE_URL": postgres.dsn("sync_worker", name), "SERVICE_SIGNING_KEYS_DIR": str(keys),
            "SYNC_LEASE_SECONDS": "30", "SYNC_RETRY_SECONDS": "60",
        },
    )  # fmt: skip
