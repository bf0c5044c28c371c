"""Every kind of bad input through the front door: a typed problem that says which field, and nothing changed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.local.demo.wanted import SANDBOX_TOKEN
from tests.e2e.conftest import Line

CONNECT = "/v1/workspaces/default/integrations"


def problem(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    told: dict[str, Any] = answer.json()
    assert told["type"] == f"/problems/{code}", told
    assert told["status"] == status
    assert told["requestId"] == answer.headers["x-request-id"]
    assert told.get("pointer") == pointer
    assert SANDBOX_TOKEN not in answer.text
    return told


def connect_body(**changes: Any) -> dict[str, Any]:
    return {"provider": "github", "token": SANDBOX_TOKEN, **changes}


@pytest.fixture
def workspace(line: Line) -> str:
    name = f"bad-{line.word()}"
    line.door.put(f"/v1/workspaces/{name}")
    return name


@pytest.mark.parametrize("key", ["", "slk_wrong", SANDBOX_TOKEN])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/providers"), ("POST", CONNECT), ("POST", "/v1/workspaces/default/search"),
     ("POST", "/v1/workspaces/default/sync"), ("GET", "/v1/integrations/none/deliveries")],
)  # fmt: skip
def test_missing_or_wrong_key_is_refused_by_every_service(line: Line, key: str, method: str, path: str) -> None:
    problem(line.raw(method, path, key=key), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("changes", "status", "code", "pointer"),
    [
        ({"provider": "nowhere"}, 404, "not_found", "/provider"),
        ({"provider": None}, 422, "invalid_input", "/provider"),
        ({"features": ["issues", "wiki"]}, 422, "invalid_input", "/features/1"),
        ({"features": []}, 422, "invalid_input", "/features"),
        ({"token": "ghp_of_nobody"}, 422, "token_refused", "/token"),
        ({"token": ""}, 422, "invalid_input", "/token"),
        ({"pollingInterval": 0}, 422, "invalid_input", "/pollingInterval"),
        ({"pollingInterval": 10_081}, 422, "invalid_input", "/pollingInterval"),
        ({"config": {"branch": "main"}}, 422, "invalid_input", "/config/branch"),
        ({"config": {"since": "yesterday"}}, 422, "invalid_input", "/config/since"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, 422, "invalid_input", "/url"),
        ({"metadata": {"copy": SANDBOX_TOKEN}}, 422, "invalid_input", "/metadata/copy"),
    ],
)  # fmt: skip
def test_connect_says_which_field_is_wrong(
    line: Line, workspace: str, changes: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    place = f"/v1/workspaces/{workspace}/integrations"
    problem(line.raw("POST", place, json=connect_body(**changes)), status, code, pointer)
    assert line.door.get(place)["items"] == []


@pytest.mark.parametrize("interval", [0, -5, 100_000])
def test_invalid_polling_interval_leaves_the_integration_as_it_was(line: Line, interval: int) -> None:
    place = f"/v1/integrations/{line.integration}"
    before = line.door.get(place)["pollingInterval"]
    problem(line.raw("PATCH", place, json={"pollingInterval": interval}), 422, "invalid_input", "/pollingInterval")
    assert line.door.get(place)["pollingInterval"] == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/workspaces/nowhere/integrations", connect_body()),
        ("GET", "/v1/workspaces/nowhere/integrations", None),
        ("POST", "/v1/workspaces/nowhere/search", {"query": "relay"}),
        ("POST", "/v1/workspaces/nowhere/sync", None),
        ("GET", "/v1/workspaces/nowhere/sources", None),
        ("GET", "/v1/workspaces/nowhere/changes", None),
    ],
)
def test_unknown_workspace_is_not_found_in_every_service(line: Line, method: str, path: str, body: Any) -> None:
    answer = line.raw(method, path, json=body)
    assert answer.status_code == 404, answer.text
    assert answer.json()["type"] in ("/problems/unknown_workspace", "/problems/not_found")


@pytest.mark.parametrize("path", [CONNECT, "/v1/workspaces/default/search"])
def test_malformed_json_is_refused(line: Line, path: str) -> None:
    answer = line.raw("POST", path, content=b'{"', headers={"content-type": "application/json"})
    problem(answer, 400, "malformed_payload")


@pytest.mark.parametrize("path", [CONNECT, "/v1/workspaces/default/search"])
def test_body_that_is_too_large_is_refused(line: Line, path: str) -> None:
    body = b'{"query": "' + b"x" * 3_000_000 + b'"}'
    answer = line.raw("POST", path, content=body, headers={"content-type": "application/json"})
    problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{CONNECT}?cursor=nonsense", None),
        ("GET", "/v1/workspaces/default/sources?cursor=%00", None),
        ("GET", "/v1/workspaces/default/sources?cursor=bm9uc2Vuc2U", None),
        ("GET", "/v1/workspaces/default/changes?cursor=nonsense", None),
        ("POST", "/v1/workspaces/default/search", {"query": "relay", "cursor": "nonsense"}),
    ],
)
def test_invalid_cursor_is_refused(line: Line, method: str, path: str, body: Any) -> None:
    answer = line.raw(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] in ("/problems/invalid_cursor", "/problems/invalid_input")


def test_second_integration_of_a_type_is_a_conflict(line: Line) -> None:
    problem(line.raw("POST", CONNECT, json=connect_body()), 409, "type_already_connected", "/provider")


def test_twenty_connects_at_once_make_one_integration(line: Line, workspace: str) -> None:
    place = f"/v1/workspaces/{workspace}/integrations"
    body = connect_body(resources=["sluice/sluice"], features=["repositories"])
    with ThreadPoolExecutor(max_workers=20) as pool:
        answers = list(pool.map(lambda _: line.raw("POST", place, json=body), range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} == {
        "/problems/type_already_connected"
    }
    assert len(line.door.get(place)["items"]) == 1


async def test_erased_workspace_is_gone_and_its_id_never_comes_back(line: Line, workspace: str) -> None:
    body = connect_body(resources=["sluice/sluice"], features=["repositories"])
    line.door.post(f"/v1/workspaces/{workspace}/integrations", body)

    def synced() -> bool:
        return line.raw("GET", f"/v1/workspaces/{workspace}/sources").status_code == 200

    await eventually(synced, timeout=30)
    proof = line.asked("workspace", "erase", workspace, "--verify", "--yes")
    assert proof == {"erased": True, "verified": True, "workspace": workspace}
    for method, path, sent in (
        ("GET", f"/v1/workspaces/{workspace}/integrations", None),
        ("POST", f"/v1/workspaces/{workspace}/integrations", body),
        ("POST", f"/v1/workspaces/{workspace}/search", {"query": "relay"}),
        ("GET", f"/v1/workspaces/{workspace}/sources", None),
    ):
        assert line.raw(method, path, json=sent).status_code in (404, 409), path
    problem(line.raw("PUT", f"/v1/workspaces/{workspace}"), 409, "workspace_erased")


class TestDelivery:
    """What a provider posts must be signed with the endpoint's secret; what is not leaves no trace."""

    def stored(self, line: Line) -> list[str]:
        page = line.door.get(f"/v1/integrations/{line.integration}/deliveries", {"limit": 100})
        return [delivery["deliveryKey"] for delivery in page["items"]]

    def endpoint(self, line: Line) -> str:
        url: str = line.door.get(f"/v1/integrations/{line.integration}/webhook-endpoint")["url"]
        return url.removeprefix(line.endpoints.gateway)

    @pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64, "sha1=" + "0" * 40, "nonsense"])
    def test_unsigned_or_wrongly_signed_is_refused_and_not_stored(self, hooked: Line, signature: str | None) -> None:
        key = hooked.word()
        headers = {"x-github-event": "issues", "x-github-delivery": key, "content-type": "application/json"}
        headers |= {"x-hub-signature-256": signature} if signature else {}
        answer = hooked.raw("POST", self.endpoint(hooked), key="", content=b'{"action": "opened"}', headers=headers)
        problem(answer, 401, "signature_invalid")
        assert key not in self.stored(hooked)

    def test_unknown_endpoint_looks_like_an_absent_one(self, hooked: Line) -> None:
        answer = hooked.raw("POST", "/v1/hooks/github/none", key="", content=b"{}")
        assert answer.status_code in (401, 404)

    async def test_delivery_signed_by_the_provider_again_is_a_duplicate(self, hooked: Line) -> None:
        word = hooked.word()
        sent = hooked.control.change("open_issue", title=f"Twice {word}", body="Delivered twice.")["deliveries"]
        await hooked.found(word)
        hooked.control.ask("POST", "deliveries", {"id": sent[0]})

        def delivered_twice() -> None:
            items = hooked.control.ask("GET", "deliveries")["items"]
            first = next(one for one in items if one["id"] == sent[0])
            statuses = [one["status"] for one in items if one["guid"] == first["guid"]]
            assert statuses == [202, 200]
            assert self.stored(hooked).count(first["guid"]) == 1

        await eventually(delivered_twice, timeout=30)
