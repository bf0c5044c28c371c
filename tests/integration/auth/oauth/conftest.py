"""A provider that an operator has registered Sluice at, and a browser beside the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from redis.asyncio import Redis

from services.auth.app import create_app, create_operations
from services.auth.deps import Deps
from services.auth.settings import AuthSettings
from tests.integration.auth.oauth.consenting import ENVIRON, Consent
from tests.integration.auth.provider_double import ProviderDouble


@pytest.fixture
def environ() -> dict[str, str]:
    return dict(ENVIRON)


@pytest.fixture
async def browser(deps: Deps) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(deps, create_operations(deps)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client


@pytest.fixture
def flow(api: httpx.AsyncClient, browser: httpx.AsyncClient, provider: ProviderDouble, workspace: str) -> Consent:
    return Consent(api, browser, provider, workspace)


@pytest.fixture
async def redis(settings: AuthSettings) -> AsyncIterator[Redis]:
    """Empty when the test begins."""
    client = Redis.from_url(settings.redis_url)
    await client.flushall()
    yield client
    await client.aclose()
