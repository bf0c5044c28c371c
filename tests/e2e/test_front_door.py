"""Every documented operation reaches its owner through the one door, and nothing else does."""

import json

import pytest

from libs.local.state import SERVICES
from tests.e2e.conftest import Line

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.parametrize("service", SERVICES)
def test_every_documented_operation_reaches_its_owner(line: Line, service: str) -> None:
    document = line.raw("GET", f"/openapi/{service}", key="").json()
    assert document["info"]["title"] == f"Sluice {service}"
    operations = [
        (method, path) for path, item in document["paths"].items() for method in METHODS
        if method in item and path.startswith("/v1/")
    ]  # fmt: skip
    assert operations
    lost = [f"{method} {path}" for method, path in operations if not _answered_by_a_service(line, method, path)]
    assert lost == []


def _answered_by_a_service(line: Line, method: str, path: str) -> bool:
    """A service answers with a problem of ours or with success; the door's own refusal has no type."""
    filled = path.replace("{workspace}", "nowhere").replace("{provider}", "github")
    while "{" in filled:
        filled = f"{filled[: filled.index('{')]}none{filled[filled.index('}') + 1 :]}"
    body = None if method in ("get", "delete") else json.dumps({"unknown": True})
    answer = line.raw(method.upper(), filled, content=body, headers={"content-type": "application/json"})
    kind = answer.headers.get("content-type", "")
    refused = kind.startswith("application/problem+json") and not answer.json()["type"].startswith("/problems/")
    return answer.status_code not in (502, 503, 504) and not refused and "x-request-id" in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/internal/v1/sources:batch", "/internal", "//internal/v1/sources:batch", "/%69nternal/v1/sources:batch",
     "/v1/../internal/v1/sources:batch", "/internal/v1/integrations/1/access-token"],
)  # fmt: skip
def test_internal_routes_are_refused_at_the_door(line: Line, path: str) -> None:
    answer = line.raw("POST", path, content=b"{}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "about:blank"


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/schema/openapi.json", "/v2/providers"])
def test_what_only_operators_need_is_not_behind_the_door(line: Line, path: str) -> None:
    assert line.raw("GET", path).status_code == 404


def test_progress_of_a_run_streams_through_the_door(line: Line) -> None:
    run = line.sync()
    answer = line.raw("GET", f"/v1/sync-runs/{run['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in answer.text
