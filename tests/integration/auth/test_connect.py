"""Connecting by token or URL: what is stored, what is told, and everything that is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from tests.integration.auth.provider_double import GOOD_TOKEN, ProviderDouble

Answer = dict[str, Any]


async def connect(api: httpx.AsyncClient, workspace: str, *, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    values = {"provider": "tracker", "token": GOOD_TOKEN, **body}
    sent = {name: value for name, value in values.items() if value is not None}
    return await api.post(f"/v1/workspaces/{workspace}/integrations", json=sent, headers=headers)


def refusal(response: httpx.Response) -> tuple[int, str, str | None]:
    problem = response.json()
    assert response.headers["content-type"].startswith("application/problem+json")
    return response.status_code, problem["type"].removeprefix("/problems/"), problem.get("pointer")


async def events(admin: asyncpg.Connection[Any], workspace: str) -> list[tuple[str, Answer]]:
    rows = await admin.fetch("SELECT topic, payload FROM outbox WHERE workspace_id = $1 ORDER BY id", workspace)
    return [(row["topic"], msgspec.json.decode(row["payload"])) for row in rows]


async def test_token_connect_answers_the_whole_integration(api: httpx.AsyncClient, workspace: str) -> None:
    response = await connect(api, workspace, metadata={"teamId": 7}, resources=["owner/name"])
    assert response.status_code == 201
    one = response.json()
    fixed = {name: one[name] for name in one if name not in ("id", "version", "createdAt", "updatedAt", "workspaceId")}
    assert fixed == {
        "name": "Tracker",
        "type": "tracker",
        "status": "active",
        "statusReason": None,
        "features": ["issues"],
        "config": {},
        "metadata": {"teamId": 7},
        "account": {"id": "acc-1", "name": "ACC-1", "tenantId": "", "scopes": ["read"]},
        "monitorChanges": False,
        "webhook": {"state": "none", "subscriptions": 0, "lastDeliveryAt": None, "expiresAt": None, "detail": ""},
        "pollingEnabled": False,
        "pollingInterval": 15,
        "lastPolledAt": None,
        "nextPollAt": None,
        "changeCount": 0,
        "lastError": None,
        "lastErrorCode": None,
        "errorCount": 0,
        "feedback": {"helpful": 0, "unhelpful": 0, "outdated": 0, "incorrect": 0},
    }
    assert one["workspaceId"] == workspace
    assert (await api.get(f"/v1/integrations/{one['id']}")).json() == one


async def test_connect_tells_the_desired_state_and_no_secret(
    api: httpx.AsyncClient, workspace: str, admin: asyncpg.Connection[Any]
) -> None:
    one = (await connect(api, workspace, resources=["owner/name"], pollingEnabled=True, pollingInterval=5)).json()
    [(topic, told)] = await events(admin, workspace)
    assert topic == "integration.connected"
    assert told["integration_id"] == one["id"]
    assert told["version"] == one["version"]
    assert told["resources"] == ["owner/name"]
    assert (told["account_id"], told["scopes"], told["reconnected"]) == ("acc-1", ["read"], False)
    assert told["state"]["polling_interval"] == 5
    assert told["state"]["status"] == "active"


async def test_token_is_stored_sealed_and_nowhere_else(
    api: httpx.AsyncClient, workspace: str, admin: asyncpg.Connection[Any]
) -> None:
    await connect(api, workspace, key="the-key")
    tables = ("integration", "credential", "audit", "outbox", "idempotency", "data_key", "job", "observation")
    for table in tables:
        rows = await admin.fetch(f"SELECT t::text AS whole FROM {table} t WHERE workspace_id = $1", workspace)
        for row in rows:
            assert GOOD_TOKEN not in row["whole"]
            assert GOOD_TOKEN.encode().hex() not in row["whole"]
    [sealed] = await admin.fetch("SELECT access_sealed FROM credential WHERE workspace_id = $1", workspace)
    assert len(sealed["access_sealed"]) > len(GOOD_TOKEN)


async def test_way_that_a_provider_lacks_is_answered_with_those_that_it_has(
    api: httpx.AsyncClient, workspace: str
) -> None:
    by_url = await connect(api, workspace, url="https://docs.example")
    by_token = await connect(api, workspace, provider="site", url="https://a.example")
    told = [answer.json()["detail"] for answer in (by_url, by_token)]
    assert told == ["Tracker is connected by oauth or token, not by url", "Site is connected by url, not by token"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"provider": "nowhere"}, (404, "not_found", "/provider")),
        ({"provider": "someday"}, (409, "provider_planned", "/provider")),
        ({"provider": None}, (422, "invalid_input", "/provider")),
        ({"type": "site"}, (422, "invalid_input", "/type")),
        ({"features": ["nope"]}, (422, "invalid_input", "/features/0")),
        ({"features": ["issues", "nope"]}, (422, "invalid_input", "/features/1")),
        ({"features": []}, (422, "invalid_input", "/features")),
        ({"token": "wrong-shape"}, (422, "invalid_input", "/token")),
        ({"token": "tok-with space"}, (422, "invalid_input", "/token")),
        ({"token": "tok-" + "x" * 20_000}, (422, "invalid_input", "/token")),
        ({"token": None}, (422, "invalid_input", "/token")),
        ({"token": 7}, (422, "invalid_input", "/token")),
        ({"token": "tok-unknown-at-the-provider"}, (422, "token_refused", "/token")),
        ({"url": "https://docs.example"}, (422, "invalid_input", "/url")),
        ({"pollingInterval": 0}, (422, "invalid_input", "/pollingInterval")),
        ({"pollingInterval": 10_081}, (422, "invalid_input", "/pollingInterval")),
        ({"pollingInterval": 1.5}, (422, "invalid_input", "/pollingInterval")),
        ({"pollingInterval": "15"}, (422, "invalid_input", "/pollingInterval")),
        ({"pollingInterval": True}, (422, "invalid_input", "/pollingInterval")),
        ({"name": " "}, (422, "invalid_input", "/name")),
        ({"name": "x" * 201}, (422, "invalid_input", "/name")),
        ({"config": {"nope": 1}}, (422, "invalid_input", "/config/nope")),
        ({"config": {"apiKey": "abc"}}, (422, "invalid_input", "/config/apiKey")),
        ({"config": {"since": "glpat-abcdefghijklmnop"}}, (422, "invalid_input", "/config/since")),
        ({"config": {"since": GOOD_TOKEN}}, (422, "invalid_input", "/config/since")),
        ({"config": {"since": "yesterday"}}, (422, "invalid_input", "/config/since")),
        ({"config": {"since": "2999-01-01"}}, (422, "invalid_input", "/config/since")),
        ({"config": []}, (422, "invalid_input", "/config")),
        ({"metadata": {"note": f"it is {GOOD_TOKEN}"}}, (422, "invalid_input", "/metadata/note")),
        ({"metadata": {"big": "x" * 65_536}}, (422, "invalid_input", "/metadata")),
        ({"metadata": {"a": "\0"}}, (400, "malformed_payload", None)),
        ({"resources": [""]}, (422, "invalid_input", "/resources/0")),
        ({"surprise": 1}, (422, "invalid_input", "/")),
    ],
)
async def test_invalid_connect_is_refused_at_its_field(
    api: httpx.AsyncClient, workspace: str, body: Answer, expected: tuple[int, str, str | None]
) -> None:
    assert refusal(await connect(api, workspace, **body)) == expected
    assert (await api.get(f"/v1/workspaces/{workspace}/integrations")).json()["items"] == []


async def test_window_of_the_backfill_is_kept_as_a_moment_and_taken_back_by_another_config(
    api: httpx.AsyncClient, workspace: str
) -> None:
    one = (await connect(api, workspace, config={"since": "2026-01-31"})).json()
    assert one["config"] == {"since": "2026-01-31T00:00:00+00:00"}
    place = f"/v1/integrations/{one['id']}"
    assert (await api.patch(place, json={"config": {"since": None}})).json()["config"] == {}


async def test_metadata_of_exactly_the_limit_is_kept(api: httpx.AsyncClient, workspace: str) -> None:
    metadata = {"a": "x" * (65_536 - len('{"a":""}'))}
    assert (await connect(api, workspace, metadata=metadata)).json()["metadata"] == metadata


async def test_refusal_never_quotes_the_token(api: httpx.AsyncClient, workspace: str) -> None:
    response = await connect(api, workspace, token="tok-unknown-at-the-provider")
    assert "tok-unknown" not in response.text


async def test_provider_away_is_503_and_nothing_is_stored(
    api: httpx.AsyncClient, workspace: str, provider: ProviderDouble
) -> None:
    provider.away = True
    assert refusal(await connect(api, workspace)) == (503, "provider_unavailable", None)
    assert (await api.get(f"/v1/workspaces/{workspace}/integrations")).json()["items"] == []


async def test_url_connect_keeps_the_address_in_config(api: httpx.AsyncClient, workspace: str) -> None:
    body = {"provider": "site", "token": None, "url": "https://docs.example/guide?ref=1"}
    one = (await connect(api, workspace, **body)).json()
    assert one["config"] == {"url": "https://docs.example/guide?ref=1"}
    assert one["account"]["id"] == "https://docs.example/guide?ref=1"


@pytest.mark.parametrize(
    "url", ["ftp://docs.example", "https://", "https://me:pw@docs.example", "not a url", "https://[::1"]
)
async def test_impossible_address_is_422(api: httpx.AsyncClient, workspace: str, url: str) -> None:
    response = await connect(api, workspace, provider="site", token=None, url=url)
    assert refusal(response) == (422, "invalid_input", "/url")


async def test_second_of_a_type_is_409_and_another_type_is_not(api: httpx.AsyncClient, workspace: str) -> None:
    assert (await connect(api, workspace)).status_code == 201
    assert refusal(await connect(api, workspace)) == (409, "type_already_connected", "/provider")
    assert (await connect(api, workspace, provider="SITE", token=None, url="https://a.example")).status_code == 201


async def test_twenty_at_once_connect_exactly_one(
    api: httpx.AsyncClient, workspace: str, admin: asyncpg.Connection[Any]
) -> None:
    answers = await asyncio.gather(*(connect(api, workspace) for _ in range(20)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201, *[409] * 19]
    assert [topic for topic, _ in await events(admin, workspace)] == ["integration.connected"]
    assert await admin.fetchval("SELECT count(*) FROM credential WHERE workspace_id = $1", workspace) == 1


async def test_unknown_workspace_is_404(api: httpx.AsyncClient) -> None:
    assert refusal(await connect(api, "never-made")) == (404, "unknown_workspace", None)


async def test_workspace_id_out_of_shape_is_422(api: httpx.AsyncClient) -> None:
    assert refusal(await connect(api, "a b")) == (422, "invalid_input", "/workspace")


async def test_malformed_json_is_400(api: httpx.AsyncClient, workspace: str) -> None:
    path = f"/v1/workspaces/{workspace}/integrations"
    response = await api.post(path, content=b'{"provider":', headers={"content-type": "application/json"})
    assert refusal(response) == (400, "malformed_payload", None)


async def test_body_too_large_is_413(api: httpx.AsyncClient, workspace: str) -> None:
    assert refusal(await connect(api, workspace, metadata={"a": "x" * 2_100_000}))[:2] == (413, "payload_too_large")


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer nope"}, {"authorization": "Basic YTpi"}])
async def test_missing_or_wrong_key_is_401(api: httpx.AsyncClient, workspace: str, header: Answer) -> None:
    api.headers.pop("authorization")
    response = await api.post(f"/v1/workspaces/{workspace}/integrations", json={"provider": "tracker"}, headers=header)
    assert refusal(response) == (401, "unauthenticated", None)


async def test_same_key_and_request_get_the_first_answer(
    api: httpx.AsyncClient, workspace: str, provider: ProviderDouble
) -> None:
    first = await connect(api, workspace, key="once")
    again = await connect(api, workspace, key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert provider.asked == 1


async def test_same_key_with_another_request_is_422(api: httpx.AsyncClient, workspace: str) -> None:
    await connect(api, workspace, key="once")
    response = await connect(api, workspace, key="once", name="Another")
    assert refusal(response) == (422, "idempotency_key_reused", "/idempotency-key")


async def test_same_key_at_once_runs_one_request(
    api: httpx.AsyncClient, workspace: str, provider: ProviderDouble
) -> None:
    answers = await asyncio.gather(*(connect(api, workspace, key="once") for _ in range(8)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = {refusal(answer)[1] for answer in answers if answer.status_code != 201}
    assert len(made) == 1
    assert refused <= {"idempotency_in_progress"}
    assert provider.asked == 1


async def test_failed_request_frees_its_key(api: httpx.AsyncClient, workspace: str, provider: ProviderDouble) -> None:
    provider.away = True
    assert (await connect(api, workspace, key="once")).status_code == 503
    provider.away = False
    assert (await connect(api, workspace, key="once")).status_code == 201


async def test_key_that_is_no_key_is_422(api: httpx.AsyncClient, workspace: str) -> None:
    assert refusal(await connect(api, workspace, key="a b")) == (422, "invalid_input", "/idempotency-key")


async def test_private_address_is_refused_at_the_url(api: httpx.AsyncClient, workspace: str) -> None:
    response = await connect(api, workspace, provider="site", token=None, url="http://127.0.0.1:9")
    assert refusal(response) == (422, "address_refused", "/url")
