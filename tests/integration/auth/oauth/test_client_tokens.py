"""Client tokens: a page's quarter of an hour in one workspace, for one user, from one origin."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.common.ids import new_id
from tests.integration.auth.oauth.consenting import OPENER, Consent
from tests.integration.auth.test_connect import refusal

ORIGIN = "http://localhost:5173"


async def token_of(api: httpx.AsyncClient, workspace: str, **body: Any) -> httpx.Response:
    sent = {"subject": "user-1", "origin": ORIGIN, **body}
    return await api.post(f"/v1/workspaces/{workspace}/client-tokens", json=sent)


def as_page(response: httpx.Response, origin: str | None = ORIGIN) -> dict[str, str]:
    headers = {"authorization": f"Bearer {response.json()['token']}"}
    return headers if origin is None else {**headers, "origin": origin}


@pytest.fixture
async def page(api: httpx.AsyncClient, browser: httpx.AsyncClient, workspace: str) -> httpx.AsyncClient:
    """The application's page: it holds a client token and nothing else."""
    browser.headers.update(as_page(await token_of(api, workspace)))
    return browser


async def test_page_connects_by_itself(page: httpx.AsyncClient, flow: Consent) -> None:
    flow.api = page
    handle = await flow.handle()
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert (done.status_code, done.json()["status"]) == (200, "active")
    assert (await flow.stands())["state"] == "connected"


async def test_renewed_token_of_the_same_user_completes(page: httpx.AsyncClient, flow: Consent) -> None:
    key, flow.api = flow.api, page
    handle = await flow.handle()
    page.headers.update(as_page(await token_of(key, flow.workspace)))
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200


async def test_token_of_another_user_or_the_key_gets_404_and_burns_nothing(
    page: httpx.AsyncClient, flow: Consent
) -> None:
    key, flow.api = flow.api, page
    body = {"handle": await flow.handle(), "attemptId": flow.attempt}
    other = as_page(await token_of(key, flow.workspace, subject="user-2"))
    for headers in (other, dict(key.headers)):
        answer = await flow.browser.post("/v1/oauth/complete", json=body, headers=headers)
        assert refusal(answer)[:2] == (404, "not_found")
        path = f"/v1/oauth/attempts/{flow.attempt}"
        assert refusal(await flow.browser.get(path, headers=headers))[:2] == (404, "not_found")
    assert (await flow.complete(**body)).status_code == 200


async def test_token_of_another_workspace_gets_404(page: httpx.AsyncClient, flow: Consent) -> None:
    key, flow.api = flow.api, page
    handle = await flow.handle()
    elsewhere = f"ws-{new_id()}"
    await key.put(f"/v1/workspaces/{elsewhere}")
    headers = as_page(await token_of(key, elsewhere))
    body = {"attemptId": flow.attempt, "handle": handle}
    assert refusal(await page.post("/v1/oauth/complete", json=body, headers=headers))[:2] == (404, "not_found")
    listing = f"/v1/workspaces/{flow.workspace}/integrations"
    assert refusal(await page.get(listing, headers=headers))[:2] == (404, "not_found")
    begun = await page.post(
        f"/v1/workspaces/{flow.workspace}/connect", json={"provider": "tracker", "redirectUrl": OPENER}, headers=headers
    )
    assert refusal(begun)[:2] == (404, "not_found")
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200


async def test_client_token_names_no_other_subject(page: httpx.AsyncClient, flow: Consent) -> None:
    flow.api = page
    assert refusal(await flow.begin(subject="user-2")) == (422, "invalid_input", "/subject")
    assert (await flow.begin(subject="user-1")).status_code == 201


@pytest.mark.parametrize("origin", [None, "", "null", "http://localhost:5174", "http://localhost:5173/", "*"])
async def test_token_that_left_its_page_is_nobody(
    api: httpx.AsyncClient, browser: httpx.AsyncClient, workspace: str, origin: str | None
) -> None:
    made = await token_of(api, workspace)
    path = f"/v1/workspaces/{workspace}/integrations"
    assert refusal(await browser.get(path, headers=as_page(made, origin)))[:2] == (401, "unauthenticated")
    assert (await browser.get(path, headers=as_page(made))).status_code == 200


async def test_scopes_bound_what_a_page_may_do(
    api: httpx.AsyncClient, browser: httpx.AsyncClient, workspace: str
) -> None:
    reader = as_page(await token_of(api, workspace, scopes=["integrations:read"]))
    body = {"provider": "tracker", "redirectUrl": OPENER}
    assert (await browser.get(f"/v1/workspaces/{workspace}/integrations", headers=reader)).status_code == 200
    begun = await browser.post(f"/v1/workspaces/{workspace}/connect", json=body, headers=reader)
    assert refusal(begun)[:2] == (403, "forbidden")


async def test_page_makes_no_token_and_no_workspace(page: httpx.AsyncClient, workspace: str) -> None:
    assert refusal(await token_of(page, workspace))[:2] == (403, "forbidden")
    assert refusal(await page.put(f"/v1/workspaces/{workspace}"))[:2] == (403, "forbidden")
    assert refusal(await page.delete(f"/v1/workspaces/{workspace}"))[:2] == (403, "forbidden")
    internal = await page.post("/internal/v1/integrations/1/access-token", json={"workspace_id": workspace})
    assert refusal(internal)[:2] == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"origin": "https://evil.example"}, (422, "origin_not_allowed", "/origin")),
        ({"origin": "*"}, (422, "origin_not_allowed", "/origin")),
        ({"origin": "http://localhost:5173/"}, (422, "origin_not_allowed", "/origin")),
        ({"subject": ""}, (422, "invalid_input", "/subject")),
        ({"subject": "x" * 201}, (422, "invalid_input", "/subject")),
        ({"ttlSeconds": 0}, (422, "invalid_input", "/ttlSeconds")),
        ({"ttlSeconds": 901}, (422, "invalid_input", "/ttlSeconds")),
        ({"scopes": ["integrations:read", "workspaces:manage"]}, (422, "invalid_input", "/scopes/1")),
        ({"scopes": ["client_tokens:make"]}, (422, "invalid_input", "/scopes/0")),
        ({"scopes": ["admin"]}, (422, "invalid_input", "/scopes/0")),
        ({"scopes": ["internal"]}, (422, "invalid_input", "/scopes/0")),
    ],
)
async def test_impossible_client_token_is_refused_at_its_field(
    api: httpx.AsyncClient, workspace: str, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refusal(await token_of(api, workspace, **body)) == expected


async def test_origin_off_the_list_is_told_where_the_list_is(api: httpx.AsyncClient, workspace: str) -> None:
    told = (await token_of(api, workspace, origin="https://app.example/")).json()["detail"]
    assert "add it to CORS_ALLOWED_ORIGINS" in told


async def test_client_token_of_an_unknown_workspace_is_404(api: httpx.AsyncClient) -> None:
    assert refusal(await token_of(api, "never-made"))[:2] == (404, "unknown_workspace")
