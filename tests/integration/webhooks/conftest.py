"""Webhooks on a real Postgres behind a real HTTP server; only the provider and auth's broker are doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from libs.common.clock import FixedClock
from libs.common.http.server import serve
from libs.common.security.principals import make_service_keys
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.tracing import configure_tracing
from libs.local.postgres import Postgres
from services.webhooks.app import create_app, create_deps, create_operations
from services.webhooks.deps import Deps
from services.webhooks.settings import WebhooksSettings
from tests.integration.webhooks.doubles import NOW, HooksApi, Lender
from tests.integration.webhooks.world import API_KEY, World
from tests.support.schemas import migrate_schemas


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, "webhooks")


@pytest.fixture(scope="session")
def settings(migrated: Postgres, tmp_path_factory: pytest.TempPathFactory) -> WebhooksSettings:
    keys = Path(tmp_path_factory.mktemp("keys"))
    make_service_keys(keys, ["webhooks"])
    return WebhooksSettings(
        database_url=migrated.dsn("webhooks_app"),
        worker_database_url=migrated.dsn("webhooks_worker"),
        kafka_bootstrap_servers="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1",
        public_url="https://hooks.example",
        sluice_kek="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        service_signing_keys_dir=str(keys),
        bootstrap_api_key_sha256=sha256(API_KEY.encode()).hexdigest(),
        auth_url="http://127.0.0.1:1",
    )


@pytest.fixture(scope="session", autouse=True)
def _tracing() -> None:
    configure_tracing("webhooks", "")


@pytest.fixture(scope="session")
def clock() -> FixedClock:
    """Moved forward by tests and never back; every test has endpoints of its own."""
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def session_provider() -> HooksApi:
    return HooksApi()


@pytest.fixture(scope="session")
def session_lender() -> Lender:
    return Lender()


@pytest.fixture
def provider(session_provider: HooksApi) -> HooksApi:
    session_provider.reset()
    return session_provider


@pytest.fixture
def lender(session_lender: Lender) -> Lender:
    session_lender.reset()
    return session_lender


@pytest.fixture(scope="session")
async def deps(
    settings: WebhooksSettings, clock: FixedClock, session_provider: HooksApi, session_lender: Lender
) -> AsyncIterator[Deps]:
    made = create_deps(settings, tokens=session_lender, granted=session_provider.granted, clock=clock)
    yield made
    await made.db.close()


@pytest.fixture(scope="session")
async def http(deps: Deps) -> AsyncIterator[httpx.AsyncClient]:
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(create_app(deps, create_operations(deps)), "127.0.0.1", 0, get_logger("test"), stop, listening.set_result)
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await listening}", trust_env=False) as client:
        yield client
    stop.set()
    await serving


@pytest.fixture
def admin(migrated: Postgres) -> str:
    """A DSN that sees every row: for looking from outside, never for serving."""
    return migrated.dsn("postgres")


@pytest.fixture
async def world(
    deps: Deps, http: httpx.AsyncClient, admin: str, provider: HooksApi, lender: Lender
) -> AsyncIterator[World]:
    made = await World.begin(deps, http, admin)
    yield made
    await made.end()
