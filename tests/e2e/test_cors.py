"""What a front end's page may ask of each service through the one door, seen as a browser sees it."""

import httpx
import pytest

from tests.e2e.conftest import Line

ORIGIN = "http://localhost:5173"
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
# One path of each service: auth, sync, webhooks, chunker.
PATHS = [
    "/v1/workspaces/default/connect", "/v1/workspaces/default/sync",
    "/v1/integrations/none/webhook-endpoint/rotate", "/v1/workspaces/default/search",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_preflight_of_the_front_end_is_answered_without_a_key(line: Line, path: str) -> None:
    answer = line.raw("OPTIONS", path, key="", headers={"origin": ORIGIN, **ASKED})
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "idempotency-key"} <= allowed
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["http://localhost:5174", "https://localhost:5173", "http://evil.example", "null"])
@pytest.mark.parametrize("path", PATHS)
def test_preflight_of_any_other_origin_is_allowed_nothing(line: Line, path: str, origin: str) -> None:
    answer = line.raw("OPTIONS", path, key="", headers={"origin": origin, **ASKED})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("key", "content", "status"), [("", b"{}", 401), (None, b'{"', 400), (None, b'{"unknown": 1}', 422)]
)
@pytest.mark.parametrize("path", [PATHS[0], PATHS[3]])
def test_errors_can_be_read_by_the_page_too(
    line: Line, path: str, key: str | None, content: bytes, status: int
) -> None:
    headers = {"origin": ORIGIN, "content-type": "application/json"}
    answer = line.raw("POST", path, key=key, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    _readable(answer)


@pytest.mark.parametrize("path", ["/v1/sources/none", "/v1/integrations/none/deliveries", "/v1/oauth/attempts/none"])
def test_absent_things_can_be_read_by_the_page_too(line: Line, path: str) -> None:
    answer = line.raw("GET", path, headers={"origin": ORIGIN})
    assert answer.status_code == 404
    _readable(answer)


def _readable(answer: httpx.Response) -> None:
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers.get_list("access-control-allow-origin", split_commas=True) == [ORIGIN]
    assert "origin" in answer.headers.get("vary", "").lower()
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
