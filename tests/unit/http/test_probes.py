"""A process without a surface answers its operators as one with a surface does."""

from __future__ import annotations

import httpx
import pytest

from libs.common.http.app import create_http
from libs.common.http.operations import Operations
from libs.common.http.probes import Probes
from libs.common.security.principals import every_caller
from tests.unit.http.test_app import SETTINGS

READY = {"postgres": True, "redis": True}


async def ready() -> dict[str, bool]:
    return dict(READY)


@pytest.fixture
def operations() -> Operations:
    return Operations("demo", ready, tolerated=["redis"])


async def asked(app: object, method: str, path: str) -> httpx.Response:
    headers = {"x-request-id": "one-of-a-test"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://demo") as client:  # type: ignore[arg-type]
        return await client.request(method, path, headers=headers)


@pytest.mark.parametrize("away", [(), ("redis",), ("postgres",), ("postgres", "redis")])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probe_is_answered_as_the_surface_answers_it(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, path: str, away: tuple[str, ...]
) -> None:
    for check in away:
        monkeypatch.setitem(READY, check, False)
    surface = create_http(operations, [], {}, SETTINGS, every_caller(SETTINGS, services=None))
    theirs, ours = await asked(surface, "GET", path), await asked(Probes(operations), "GET", path)
    assert ours.status_code == theirs.status_code
    assert ours.status_code == (503 if path == "/readyz" and "postgres" in away else 200)
    assert path == "/metrics" or ours.json() == theirs.json()
    told = {name: value for name, value in ours.headers.items() if name != "content-length"}
    assert told == {name: theirs.headers[name] for name in told}
    assert told.keys() == theirs.headers.keys() - {"content-length", "vary"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/sources"), ("GET", "/"), ("POST", "/readyz")])
async def test_anything_else_is_absent(operations: Operations, method: str, path: str) -> None:
    answer = await asked(Probes(operations), method, path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not_found")
    assert answer.json()["requestId"] == answer.headers["x-request-id"] == "one-of-a-test"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_components_that_are_down_are_shown(operations: Operations) -> None:
    operations.health.set("relay", False)
    answer = await asked(Probes(operations), "GET", "/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"relay": False, **READY})
