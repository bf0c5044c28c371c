"""The real application on a real Postgres, with a provider that lives in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from libs.common.clock import Clock, SystemClock
from libs.common.command import describing_settings
from libs.common.ids import new_id
from libs.common.security.principals import ServiceTokens, make_service_keys
from libs.local.postgres import Postgres
from libs.local.valkey import Valkey
from services.auth.app import create_app, create_deps, create_operations
from services.auth.deps import Deps
from services.auth.settings import AuthSettings
from tests.integration.auth.provider_double import ProviderDouble
from tests.support.schemas import migrate_schemas

API_KEY = "slk_a-key-of-this-test"


@pytest.fixture(scope="session")
def auth_schema(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, "auth")


@pytest.fixture(scope="session")
def settings(auth_schema: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> AuthSettings:
    keys = tmp_path_factory.mktemp("signing-keys")
    make_service_keys(keys, ["auth", "sync", "webhooks"])
    return msgspec.structs.replace(
        describing_settings(AuthSettings),
        database_url=auth_schema.dsn("auth_app"),
        worker_database_url=auth_schema.dsn("auth_worker"),
        redis_url=valkey.url,
        service_signing_keys_dir=str(keys),
        bootstrap_api_key_sha256=sha256(API_KEY.encode()).hexdigest(),
    )


@pytest.fixture
def provider() -> ProviderDouble:
    return ProviderDouble()


@pytest.fixture
def environ() -> dict[str, str]:
    """What the operator registered at the providers: nothing, unless a module says otherwise."""
    return {}


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
async def deps(
    settings: AuthSettings, provider: ProviderDouble, environ: dict[str, str], clock: Clock
) -> AsyncIterator[Deps]:
    made = create_deps(settings, clock, provider.providers(environ))
    yield made
    await made.states.close()
    await made.db.close()


@pytest.fixture
async def api(deps: Deps) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client."""
    transport = httpx.ASGITransport(app=create_app(deps, create_operations(deps)))
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://auth", headers=headers) as client:
        yield client


@pytest.fixture
def as_service(settings: AuthSettings) -> Callable[[str], dict[str, str]]:
    """Headers of another service of ours that calls auth."""

    def headers(service: str) -> dict[str, str]:
        token = ServiceTokens(service, Path(settings.service_signing_keys_dir)).issue("auth")
        return {"authorization": f"Bearer {token}"}

    return headers


@pytest.fixture
async def workspace(api: httpx.AsyncClient) -> str:
    name = f"ws-{new_id()}"
    assert (await api.put(f"/v1/workspaces/{name}")).status_code == 201
    return name


@pytest.fixture
async def admin(auth_schema: Postgres) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The cluster's superuser: sees past row-level security, for looking only."""
    connection = await asyncpg.connect(auth_schema.dsn("postgres"))
    await connection.execute("SET search_path = auth, public")
    yield connection
    await connection.close()
