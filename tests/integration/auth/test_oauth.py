"""A consent from click to connection, both ways, and what is stored, told and left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from services.auth.app import create_app
from services.auth.deps import Deps
from services.auth.settings import AuthSettings
from tests.integration.auth.consenting import ENVIRON, Consent, message, told
from tests.integration.auth.provider_double import (
    EXPIRES_AT,
    GOOD_TOKEN,
    ProviderDouble,
)
from tests.integration.auth.test_connect import events

Admin = asyncpg.Connection


@pytest.fixture
def environ() -> dict[str, str]:
    return dict(ENVIRON)


@pytest.fixture
async def browser(deps: Deps) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client


@pytest.fixture
def flow(api: httpx.AsyncClient, browser: httpx.AsyncClient, provider: ProviderDouble, workspace: str) -> Consent:
    return Consent(api, browser, provider, workspace)


@pytest.fixture
async def redis(settings: AuthSettings) -> AsyncIterator[Redis]:
    client = Redis.from_url(settings.redis_url)
    await client.flushall()
    yield client
    await client.aclose()


async def keys(redis: Redis) -> list[bytes]:
    return sorted([key async for key in redis.scan_iter("*")])


async def test_popup_ends_in_a_connected_integration(flow: Consent, redis: Redis, admin: Admin) -> None:
    begun = (await flow.begin(pollingEnabled=True, resources=["a/b"], metadata={"team": 1}, subject="user-1")).json()
    assert begun["authorizationUrl"] == f"http://localhost:8080/v1/oauth/start/{flow.attempt}"
    started = await flow.start()
    assert (started.status_code, started.headers["cache-control"]) == (302, "no-store")
    assert started.headers["referrer-policy"] == "no-referrer"
    flow.returned = flow.provider.consent(flow.location)
    page = await flow.callback()
    assert page.status_code == 200
    assert told(page)["origin"] == "http://localhost:5173"
    said = message(page)
    assert set(said) == {"source", "attemptId", "handle"}
    assert (said["source"], said["attemptId"]) == ("sluice", flow.attempt)
    done = await flow.complete(attemptId=flow.attempt, handle=said["handle"], subject="user-1")
    one = done.json()
    assert (done.status_code, one["type"], one["status"]) == (200, "tracker", "active")
    assert one["account"] == {"id": "acc-1", "name": "ACC-1", "tenantId": "", "scopes": ["read", "write"]}
    assert (one["pollingEnabled"], one["metadata"], one["features"]) == (True, {"team": 1}, ["issues"])
    [(topic, event)] = await events(admin, flow.workspace)
    assert (topic, event["resources"], event["scopes"]) == ("integration.connected", ["a/b"], ["read", "write"])
    stands = await flow.stands()
    assert (stands["state"], stands["integration"]["id"], stands["code"]) == ("connected", one["id"], None)
    assert await keys(redis) == []
    assert len(flow.provider.exchanged) == 1


async def test_application_page_completes_with_code_and_state(flow: Consent, redis: Redis) -> None:
    returned = await flow.consent(callback="application")
    sent = parse_qs(urlsplit(flow.location).query)
    assert sent["redirect_uri"] == ["http://localhost:5173/auth-callback?provider=Tracker"]
    done = await flow.complete(**returned)
    assert (done.status_code, done.json()["type"]) == (200, "tracker")
    assert await keys(redis) == []
    assert len(flow.provider.exchanged) == 1


async def test_grant_is_stored_with_its_expiry_and_refresh_token_sealed(flow: Consent, admin: Admin) -> None:
    handle = await flow.handle()
    await flow.complete(attemptId=flow.attempt, handle=handle)
    [row] = await admin.fetch("SELECT * FROM credential WHERE workspace_id = $1", flow.workspace)
    assert (row["kind"], row["expires_at"]) == ("oauth", EXPIRES_AT)
    assert GOOD_TOKEN.encode() not in row["access_sealed"]
    assert b"refresh" not in row["refresh_sealed"]
