"""A front end's page reads every answer, errors and streams too, and no other page reads any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get
from litestar.response import ServerSentEvent
from litestar.testing import AsyncTestClient

from libs.common.command import describing_settings
from libs.common.errors import Conflict
from libs.common.http.app import create_http
from libs.common.http.operations import Operations
from libs.common.security.principals import ClientTokens, every_caller, make_service_keys
from libs.common.settings import CommonSettings
from libs.local.state import SERVICES

KEY = "slk_test_key_of_this_file"
PAGES = ("http://localhost:5173", "https://app.example")
EVIL = "https://evil.example"
OWN = "https://sluice.example"
SETTINGS = msgspec.structs.replace(
    describing_settings(CommonSettings),
    cors_allowed_origins=PAGES,
    bootstrap_api_key_sha256=sha256(KEY.encode()).hexdigest(),
)


READ_ROUTES = {
    "auth": "/v1/workspaces/w/integrations",
    "webhooks": "/v1/integrations/i/deliveries",
    "sync": "/v1/sync-runs/r",
    "chunker": "/v1/sources/s/chunks",
}


@get("/v1/fine")
async def fine() -> dict[str, str]:
    return {}


@get("/v1/clash")
async def clash() -> dict[str, str]:
    raise Conflict


@get("/v1/bug")
async def bug() -> dict[str, str]:
    raise RuntimeError("a bug")


@get("/v1/events")
async def events() -> ServerSentEvent:
    async def tell() -> AsyncIterator[str]:
        yield "hello"

    return ServerSentEvent(tell())


async def ready() -> dict[str, bool]:
    return {}


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[AsyncTestClient[Litestar]]:
    callers = every_caller(SETTINGS, services=None)
    app = create_http(Operations("here", ready), [fine, clash, bug, events], {}, SETTINGS, callers)
    async with AsyncTestClient(app=app) as made:
        yield made


ANSWERS = {
    "success": ("GET", "/v1/fine", True, 200),
    "stream": ("GET", "/v1/events", True, 200),
    "conflict": ("GET", "/v1/clash", True, 409),
    "bug": ("GET", "/v1/bug", True, 500),
    "no key": ("GET", "/v1/fine", False, 401),
    "no such route": ("GET", "/v1/nowhere", True, 404),
    "no such method": ("DELETE", "/v1/fine", True, 405),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("origin", PAGES)
async def test_page_of_the_front_end_reads_the_answer(
    client: AsyncTestClient[Litestar], name: str, origin: str
) -> None:
    method, path, keyed, status = ANSWERS[name]
    headers = {"origin": origin} | ({"authorization": f"Bearer {KEY}"} if keyed else {})
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == origin
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:5174", "https://app.example.evil.example"])
async def test_page_of_anyone_else_reads_nothing(client: AsyncTestClient[Litestar], name: str, origin: str) -> None:
    method, path, keyed, _ = ANSWERS[name]
    headers = {"origin": origin} | ({"authorization": f"Bearer {KEY}"} if keyed else {})
    assert "access-control-allow-origin" not in (await client.request(method, path, headers=headers)).headers


def preflight(origin: str, headers: str = "authorization,content-type,idempotency-key") -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": headers,
    }


def described(service: str, **changes: Any) -> Litestar:
    """The service's own application, as it is composed."""
    settings = import_module(f"services.{service}.settings")
    kind: Any = getattr(settings, f"{service.title()}Settings")
    here = msgspec.structs.replace(describing_settings(kind), **changes)
    made: Litestar = import_module(f"services.{service}.app").describe(here)
    return made


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_answers_preflights_and_errors_to_the_front_end_alone(service: str) -> None:
    async with AsyncTestClient(app=described(service)) as client:
        for path in ("/v1/workspaces/w/integrations", "/v1/sync-runs/r/events", "/healthz"):
            asked = await client.options(path, headers=preflight("http://localhost:5173"))
            assert asked.headers.get("access-control-allow-origin") == "http://localhost:5173", path
            allowed = asked.headers["access-control-allow-headers"].lower()
            assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
            refused = await client.options(path, headers=preflight(EVIL))
            assert "access-control-allow-origin" not in refused.headers
        error = await client.get("/v1/nowhere", headers={"origin": "http://localhost:5173"})
        assert error.headers["access-control-allow-origin"] == "http://localhost:5173"


def as_page_of(origin: str, keys: Path) -> dict[str, str]:
    """A token for pages of that origin that holds no scope."""
    make_service_keys(keys, SERVICES)
    life = timedelta(seconds=60)
    token, _ = ClientTokens(keys).issue(workspace="w", user="u", origin=origin, scopes=[], life=life)
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_knows_a_client_token_at_its_own_origin_alone(service: str, tmp_path: Path) -> None:
    """Without a scope it is known and may do nothing: 403, where a stranger is 401."""
    sent, path = as_page_of(PAGES[0], tmp_path), READ_ROUTES[service]
    async with AsyncTestClient(app=described(service, service_signing_keys_dir=str(tmp_path))) as client:
        assert (await client.get(path, headers={**sent, "origin": PAGES[0]})).status_code == 403
        for headers in (sent, {**sent, "origin": PAGES[1]}, {"origin": PAGES[0]}):
            assert (await client.get(path, headers=headers)).status_code == 401


@pytest.mark.parametrize("service", SERVICES)
async def test_page_of_the_api_s_own_origin_reads_without_origin(service: str, tmp_path: Path) -> None:
    """Browsers leave it out of a GET within one origin, and say so in a header that no script can set."""
    own, other, path = as_page_of(OWN, tmp_path), as_page_of(PAGES[0], tmp_path), READ_ROUTES[service]
    app = described(service, service_signing_keys_dir=str(tmp_path), public_url=f"{OWN}:443/")
    same = {"sec-fetch-site": "same-origin"}
    async with AsyncTestClient(app=app) as client:
        for known in ({**own, **same}, {**own, "origin": OWN}):
            assert (await client.get(path, headers=known)).status_code == 403
        sites = [{"sec-fetch-site": site} for site in ("same-site", "cross-site", "none", "", "SAME-ORIGIN")]
        origins = [{**same, "origin": origin} for origin in (EVIL, PAGES[0], "null", "", f"{OWN}:443")]
        told = [{}, {"host": "sluice.example"}, *sites, *origins]
        for headers in (*({**own, **more} for more in told), {**other, **same}, same):
            assert (await client.get(path, headers=headers)).status_code == 401, headers
