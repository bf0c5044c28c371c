"""The real schema on a real Postgres, driven step by step, with a provider that lives in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import asyncpg
import httpx
import pytest

from libs.common.command import DESCRIBING
from libs.common.security.principals import ServiceTokens, make_service_keys
from libs.common.settings import load_settings
from libs.local.postgres import Postgres
from libs.providers.github.tests.played import Wire, open_sandbox
from services.sync.settings import SyncSettings
from services.sync.tables import QUEUE_TABLES, TENANT_TABLES
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker, Engine
from tests.integration.sync.hub import Hub
from tests.support.schemas import migrate_schemas

API_KEY = "slk_a-key-of-this-test"


@pytest.fixture(scope="session")
def sync_schema(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, "sync")


@pytest.fixture(scope="session")
def settings(sync_schema: Postgres, tmp_path_factory: pytest.TempPathFactory) -> SyncSettings:
    keys = tmp_path_factory.mktemp("signing-keys")
    make_service_keys(keys, ["auth", "sync", "chunker"])
    return load_settings(
        SyncSettings,
        {
            **DESCRIBING,
            "DATABASE_URL": sync_schema.dsn("sync_app"),
            "WORKER_DATABASE_URL": sync_schema.dsn("sync_worker"),
            "SERVICE_SIGNING_KEYS_DIR": str(keys),
            "BOOTSTRAP_API_KEY_SHA256": sha256(API_KEY.encode()).hexdigest(),
            "SYNC_LEASE_SECONDS": "3",
            "SYNC_RETRY_SECONDS": "0.02",
            "SYNC_WORKERS": "2",
        },
    )


@pytest.fixture
async def admin(sync_schema: Postgres) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Sees everything; the tables are empty when a test begins, because workers claim across workspaces."""
    connection = await asyncpg.connect(sync_schema.dsn("postgres"))
    await connection.execute("SET search_path = sync, public")
    # DELETE: on a few rows it takes a tenth of TRUNCATE's time.
    tables = [*TENANT_TABLES, *QUEUE_TABLES, "outbox", "erased_workspace"]
    await connection.execute("; ".join(f"DELETE FROM {table}" for table in tables))
    yield connection
    await connection.close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def engine(
    settings: SyncSettings, world: World, admin: asyncpg.Connection[asyncpg.Record]
) -> AsyncIterator[Engine]:
    made = Engine(settings, world, Broker(), admin)
    yield made
    await made.close()


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client."""
    transport = httpx.ASGITransport(app=engine.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as client:
        yield client


@pytest.fixture
def as_chunker(settings: SyncSettings) -> dict[str, str]:

    token = ServiceTokens("chunker", Path(settings.service_signing_keys_dir)).issue("sync")
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def hub(settings: SyncSettings, admin: asyncpg.Connection[asyncpg.Record], tmp_path: Path) -> AsyncIterator[Hub]:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "README.md").write_text("# House\n\nWhat it is.\n")
    sandbox = open_sandbox(tmp_path / "tree", tmp_path / "state")
    made = Hub(settings, Wire(sandbox), tmp_path / "state", admin)
    yield made
    await made.close()
    await made.wire.client.aclose()
    await sandbox.close()
