"""Every answer of every route, errors first: the shape is the same whatever went wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, RawBody
from litestar.testing import AsyncTestClient

from libs.common.errors import (
    AuthRevoked,
    Conflict,
    DependencyDown,
    Forbidden,
    InvalidInput,
    NotFound,
    ProviderContractBroken,
    ProviderUnavailable,
    RateLimited,
    SignatureInvalid,
    SluiceError,
    Unauthenticated,
)
from libs.common.http.app import create_http
from libs.common.http.health import Health
from libs.common.http.operations import Operations
from libs.common.http.wire import Wire, decode_cursor
from libs.common.security.principals import ApiKeyResolver, ChainResolver, Principal
from libs.common.settings import CommonSettings

KEY = "slk_test_key_of_this_file"
CANARY = "canary-7f3d0f0a"
BEARER = {"authorization": f"Bearer {KEY}"}
SETTINGS = CommonSettings(
    database_url="postgresql://x",
    worker_database_url="postgresql://x",
    kafka_bootstrap_servers="x",
    redis_url="redis://x",
    service_signing_keys_dir="/nowhere",
)
ERRORS: dict[str, Exception] = {
    "not_found": NotFound(),
    "conflict": Conflict("a second integration of one type"),
    "forbidden": Forbidden(),
    "invalid_input": InvalidInput("too small", pointer="/pollingInterval"),
    "auth_revoked": AuthRevoked(),
    "provider_unavailable": ProviderUnavailable(),
    "provider_contract_broken": ProviderContractBroken(),
    "dependency_down": DependencyDown(),
    "signature_invalid": SignatureInvalid(),
    "rate_limited": RateLimited(until=datetime.now(UTC) + timedelta(seconds=3600)),
    "internal": SluiceError(),
    "bug": RuntimeError(CANARY),
}


class Item(Wire):
    title: str
    max_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    tags: tuple[str, ...] = ()


class ServiceResolver:
    """Stands for another service's token in these tests."""

    def resolve(self, authorization: str | None) -> Principal:
        if authorization != "Bearer service":
            raise Unauthenticated
        return Principal(
            subject="service:sync", workspace=None, scopes=frozenset({"internal"}), method="service", service="sync"
        )


@get("/v1/raise/{kind:str}")
async def raises(kind: FromPath[str]) -> None:
    raise ERRORS[kind]


@post("/v1/items")
async def make_item(data: JSONBody[Item]) -> Item:
    return data


@post("/v1/raw")
async def raw(body: RawBody) -> dict[str, int]:
    return {"size": len(body)}


@get("/v1/pages")
async def pages(
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
    page_cursor: Annotated[str, QueryParameter(name="cursor", max_length=100)] = "",
) -> dict[str, Any]:
    at = decode_cursor(page_cursor, int) if page_cursor else 0
    return {"limit": limit, "at": at}


@get("/v1/explained")
async def explained(
    wanted: Annotated[str, QueryParameter(name="externalId", min_length=1)], since: FromQuery[datetime]
) -> dict[str, str]:
    return {"wanted": wanted, "since": since.isoformat()}


@dataclass(frozen=True)
class Deps:
    place: str
    opened: object


@get("/v1/me")
async def me(principal: NamedDependency[Principal], deps: NamedDependency[Deps]) -> dict[str, str]:
    return {"subject": principal.subject, "place": deps.place}


@get("/v1/open", opt={"anonymous": True})
async def anyone() -> dict[str, str]:
    return {}


@get("/internal/v1/secret")
async def inside(principal: NamedDependency[Principal]) -> dict[str, str | None]:
    return {"service": principal.service}


@get("/v1/headers/{name:str}")
async def identity(
    name: FromPath[str], request: Request[Any, Any, Any], principal: NamedDependency[Principal]
) -> dict[str, str]:
    return {"subject": principal.subject}


READY = {"database": True}
HEALTH = Health()


async def ready() -> dict[str, bool]:
    return dict(READY)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[AsyncTestClient[Any]]:
    resolver = ChainResolver([ApiKeyResolver({sha256(KEY.encode()).hexdigest()}), ServiceResolver()])
    handlers = [raises, make_item, raw, pages, explained, me, anyone, inside, identity]
    app = create_http(
        Operations("demo", ready, health=HEALTH), handlers, {"deps": Deps("here", object())}, SETTINGS, resolver,
        max_body=10_000,
    )  # fmt: skip
    async with AsyncTestClient(app, raise_server_exceptions=False) as made:
        yield made


def assert_problem(response: Any, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"].startswith("application/problem+json")
    assert body["type"] == f"/problems/{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["requestId"] == response.headers["x-request-id"]
    assert body.get("pointer") == pointer
    assert response.headers["cache-control"] == "no-store"
    return body


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("not_found", 404, "not_found"),
        ("conflict", 409, "conflict"),
        ("forbidden", 403, "forbidden"),
        ("auth_revoked", 409, "auth_revoked"),
        ("provider_unavailable", 503, "provider_unavailable"),
        ("provider_contract_broken", 502, "provider_contract_broken"),
        ("dependency_down", 503, "dependency_down"),
        ("signature_invalid", 401, "signature_invalid"),
        ("internal", 500, "internal"),
    ],
)
async def test_error_of_ours_answers_its_problem(client: Any, kind: str, status: int, code: str) -> None:
    assert_problem(await client.get(f"/v1/raise/{kind}", headers=BEARER), status, code)


async def test_invalid_input_names_the_field(client: Any) -> None:
    body = assert_problem(
        await client.get("/v1/raise/invalid_input", headers=BEARER), 422, "invalid_input", "/pollingInterval"
    )
    assert body["detail"] == "too small"


async def test_rate_limit_says_when_to_come_back(client: Any) -> None:
    response = await client.get("/v1/raise/rate_limited", headers=BEARER)
    assert_problem(response, 429, "rate_limited")
    assert 3000 <= int(response.headers["retry-after"]) <= 3600


async def test_bug_answers_500_without_its_text(client: Any) -> None:
    response = await client.get("/v1/raise/bug", headers=BEARER)
    assert_problem(response, 500, "internal")
    assert CANARY not in response.text
    assert "RuntimeError" not in response.text


async def test_unknown_route_is_404(client: Any) -> None:
    assert_problem(await client.get("/v1/nothing/here", headers=BEARER), 404, "not_found")


async def test_wrong_method_is_405_with_allow(client: Any) -> None:
    response = await client.delete("/v1/items", headers=BEARER)
    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b'{"title": "a", "maxCount": 2}', 201, None, None),
        (b'{"title": "a"', 400, "malformed_payload", None),
        (b"", 400, "malformed_payload", None),
        (b"\xef\xbb\xbf{}", 400, "malformed_payload", None),
        (b'{"title": NaN}', 400, "malformed_payload", None),
        (b'{"title": "\\ud800"}', 400, "malformed_payload", None),
        (b'{"title": "a\\u0000b"}', 400, "malformed_payload", None),
        (b'{"title": "a\\\\u0000b"}', 201, None, None),
        (b'{"title": "a", "maxCount": "2"}', 422, "invalid_input", "/maxCount"),
        (b'{"title": "a", "maxCount": 0}', 422, "invalid_input", "/maxCount"),
        (b'{"title": "a", "maxCount": 1e100000}', 422, "invalid_input", "/maxCount"),
        (b'{"title": "a", "tags": ["x", 1]}', 422, "invalid_input", "/tags/1"),
        (b'{"title": "a", "extra": 1}', 422, "invalid_input", "/"),
        (b"{}", 422, "invalid_input", "/"),
        (b"[]", 422, "invalid_input", "/"),
    ],
)
async def test_body_is_read_strictly(
    client: Any, body: bytes, status: int, code: str | None, pointer: str | None
) -> None:
    response = await client.post("/v1/items", content=body, headers=BEARER | {"content-type": "application/json"})
    if code is None:
        assert response.status_code == status
        assert response.json()["maxCount"] in (1, 2)
    else:
        assert_problem(response, status, code, pointer)


@pytest.mark.parametrize("path", ["/v1/items", "/v1/raw"])
async def test_large_body_is_413(client: Any, path: str) -> None:
    assert_problem(await client.post(path, content=b"x" * 10_001, headers=BEARER), 413, "payload_too_large")


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ("limit=0", "invalid_input", "/limit"),
        ("limit=abc", "invalid_input", "/limit"),
        ("cursor=%21%21", "invalid_cursor", "/cursor"),
        ("cursor=InRleHQi", "invalid_cursor", "/cursor"),
        ("cursor=%00", "invalid_input", "/"),
        (f"cursor={'x' * 101}", "invalid_input", "/cursor"),
    ],
)
async def test_query_fault_is_422_with_pointer(client: Any, query: str, code: str, pointer: str) -> None:
    response = await client.get(f"/v1/pages?{query}", headers=BEARER)
    assert_problem(response, 422, code, pointer)
    assert "abc" not in response.json().get("detail", "")


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ("since=2026-11-26T00:00:00Z", "/externalId", "this parameter is required"),
        ("externalId=issue:1", "/since", "this parameter is required"),
        ("externalId=&since=2026-11-26T00:00:00Z", "/externalId", None),
        ("externalId=issue:1&since=yesterday", "/since", None),
    ],
)
async def test_missing_or_malformed_parameter_is_told_by_the_name_that_callers_know(
    client: Any, query: str, pointer: str, detail: str | None
) -> None:
    response = await client.get(f"/v1/explained?{query}", headers=BEARER)
    body = assert_problem(response, 422, "invalid_input", pointer)
    assert detail is None or body["detail"] == detail
    assert "yesterday" not in response.text


async def test_missing_parameter_is_no_news_for_an_unknown_caller(client: Any) -> None:
    assert_problem(await client.get("/v1/explained"), 401, "unauthenticated")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY} ", KEY, "Bearer \xe9"],
)
async def test_unknown_caller_is_401(client: Any, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    response = await client.get("/v1/me", headers=headers)
    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_unknown_caller_learns_nothing_about_the_body(client: Any) -> None:
    assert_problem(await client.post("/v1/items", content=b"{"), 401, "unauthenticated")


async def test_known_caller_reaches_the_handler(client: Any) -> None:
    body = (await client.get("/v1/me", headers=BEARER)).json()
    assert body["subject"].startswith("key:")
    assert body["place"] == "here"


@pytest.mark.parametrize(
    "name", ["x-forwarded-user", "x-user", "x-auth-request-user", "x_forwarded_user", "remote-user"]
)
async def test_identity_headers_are_never_read(client: Any, name: str) -> None:
    response = await client.get("/v1/headers/x", headers={name: "admin"})
    assert_problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/v1/open", "/healthz", "/readyz", "/metrics", "/schema", "/schema/openapi.json"])
async def test_anonymous_route_needs_no_key(client: Any, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_internal_route_is_for_services_alone(client: Any) -> None:
    assert_problem(await client.get("/internal/v1/secret"), 401, "unauthenticated")
    assert_problem(await client.get("/internal/v1/secret", headers=BEARER), 403, "forbidden")
    found = await client.get("/internal/v1/secret", headers={"authorization": "Bearer service"})
    assert found.json() == {"service": "sync"}


async def test_service_token_opens_no_public_route(client: Any) -> None:
    assert_problem(await client.get("/v1/me", headers={"authorization": "Bearer service"}), 403, "forbidden")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a-sane-request-id", True),
        ("short", False),
        ("x" * 129, False),
        ("with space in it", False),
        ("a\x1b[31mred", False),
    ],
)
async def test_request_id_is_kept_only_if_sane(client: Any, given: str, kept: bool) -> None:
    answered = (await client.get("/v1/open", headers={"x-request-id": given})).headers["x-request-id"]
    assert (answered == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", answered)


@pytest.mark.parametrize("path", ["/v1/open", "/v1/me", "/v1/nothing", "/v1/raise/bug"])
async def test_cors_names_the_exact_origin_on_errors_too(client: Any, path: str) -> None:
    known = await client.get(path, headers={"origin": "http://localhost:5173"})
    assert known.headers["access-control-allow-origin"] == "http://localhost:5173"
    foreign = await client.get(path, headers={"origin": "http://localhost:5173.evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_preflight_answers_for_known_origins(client: Any) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    known = await client.options("/v1/items", headers={"origin": "http://localhost:5173", **asked})
    assert known.status_code == 204
    assert known.headers["access-control-allow-origin"] == "http://localhost:5173"
    foreign = await client.options("/v1/items", headers={"origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in foreign.headers


async def test_failing_check_or_component_is_not_ready(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    HEALTH.set("consumers", True)
    assert (await client.get("/readyz")).json()["checks"] == {"consumers": True, "database": True}
    HEALTH.set("consumers", False)
    assert (await client.get("/readyz")).status_code == 503
    HEALTH.set("consumers", True)
    monkeypatch.setitem(READY, "database", False)
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200


async def test_schema_is_openapi_31_in_camel_case(client: Any) -> None:
    schema = (await client.get("/schema/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    item = next(value for name, value in schema["components"]["schemas"].items() if name.endswith("Item"))
    assert set(item["properties"]) == {"title", "maxCount", "tags"}
    assert "principal" not in str(schema["paths"]["/v1/me"]["get"].get("parameters", ""))


async def test_schema_documents_problems_and_not_the_framework_errors(client: Any) -> None:
    schema = (await client.get("/schema/openapi.json")).json()
    answers = schema["paths"]["/v1/items"]["post"]["responses"]
    assert answers["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert "400" not in answers
    assert set(schema["components"]["schemas"]["Problem"]["properties"]) >= {"type", "title", "status", "requestId"}


async def test_metrics_count_by_route_template(client: Any) -> None:
    await client.get("/v1/raise/conflict", headers=BEARER)
    text = (await client.get("/metrics")).text
    assert 'sluice_http_requests_total{method="GET",route="/v1/raise/{kind}",status="409"}' in text
