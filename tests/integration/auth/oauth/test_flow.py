"""A consent from click to connection, both ways, and what is stored, told and left behind."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from libs.common.errors import ProviderUnavailable
from services.auth.deps import Deps
from services.auth.use_cases.disconnect import erase_grant
from services.auth.use_cases.workspaces import finish_erasure
from tests.integration.auth.oauth.consenting import OPENER, Consent, keys, message, told
from tests.integration.auth.provider_double import (
    EXPIRES_AT,
    GOOD_TOKEN,
    OTHER_TOKEN,
    SECOND_TOKEN,
    ProviderDouble,
    token_answer,
)
from tests.integration.auth.test_broker_and_walls import audit
from tests.integration.auth.test_connect import connect, events, refusal

Admin = asyncpg.Connection


async def connected(flow: Consent, **body: Any) -> dict[str, Any]:
    handle = await flow.handle(**body)
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert done.status_code == 200, done.text
    one: dict[str, Any] = done.json()
    return one


async def test_popup_ends_in_a_connected_integration(flow: Consent, redis: Redis, admin: Admin) -> None:
    begun = (await flow.begin(pollingEnabled=True, resources=["a/b"], metadata={"team": 1}, subject="user-1")).json()
    assert begun["authorizationUrl"] == f"http://localhost:8080/v1/oauth/start/{flow.attempt}"
    started = await flow.start()
    assert (started.status_code, started.headers["cache-control"]) == (302, "no-store")
    assert started.headers["referrer-policy"] == "no-referrer"
    flow.returned = flow.provider.consent(flow.location)
    page = await flow.callback()
    assert (page.status_code, told(page)["origin"]) == (200, "http://localhost:5173")
    said = message(page)
    assert set(said) == {"source", "attemptId", "handle"}
    assert (said["source"], said["attemptId"]) == ("sluice", flow.attempt)
    assert (await flow.stands())["state"] == "pending"
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


@pytest.mark.parametrize("fragment", ["", "#/settings"])
async def test_same_tab_flow_finds_its_handle_in_the_fragment(flow: Consent, fragment: str) -> None:
    await flow.consent(redirectUrl=OPENER + fragment)
    page = await flow.callback()
    assert told(page)["back"] == f"{OPENER}#attemptId={flow.attempt}&handle={message(page)['handle']}"


async def test_every_authorize_request_carries_its_own_state_and_s256(flow: Consent) -> None:
    seen = []
    await flow.begin()
    for _ in range(100):
        await flow.start()
        seen.append({name: values[0] for name, values in parse_qs(urlsplit(flow.location).query).items()})
    assert {one["code_challenge_method"] for one in seen} == {"S256"}
    assert {len(one["code_challenge"]) for one in seen} == {43}
    assert len({one["state"] for one in seen}) == len({one["code_challenge"] for one in seen}) == 100
    assert {one["scope"] for one in seen} == {"read write"}
    assert {one["redirect_uri"] for one in seen} == {"http://localhost:8080/v1/oauth/callback/tracker"}


async def test_reloaded_popup_goes_on_and_leaves_one_key(flow: Consent, redis: Redis) -> None:
    await flow.begin()
    await flow.start()
    stale = flow.provider.consent(flow.location)
    await flow.start()
    flow.returned = flow.provider.consent(flow.location)
    assert len(await keys(redis)) == 1
    assert (await flow.browser.get("/v1/oauth/callback/tracker", params=stale)).status_code == 409
    handle = message(await flow.callback())["handle"]
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200


async def test_start_hop_opened_many_times_at_once_waits_for_one_state(flow: Consent, redis: Redis) -> None:
    await flow.begin()
    path = f"/v1/oauth/start/{flow.attempt}"
    answers = await asyncio.gather(*(flow.browser.get(path) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [302, 302]
    await asyncio.gather(*(flow.browser.get(path) for _ in range(20)))
    assert len(await keys(redis)) == 1
    await flow.start()
    flow.returned = flow.provider.consent(flow.location)
    assert (await flow.callback()).status_code == 200


async def test_two_popups_of_one_browser_both_come_back(
    api: httpx.AsyncClient, browser: httpx.AsyncClient, provider: ProviderDouble, workspace: str
) -> None:
    first, second = (Consent(api, browser, provider, workspace) for _ in range(2))
    await first.consent()
    await second.consent()
    assert [(await one.callback()).status_code for one in (first, second)] == [200, 200]


async def test_grant_is_stored_with_its_expiry_and_refresh_token_sealed(flow: Consent, admin: Admin) -> None:
    await connected(flow)
    [row] = await admin.fetch("SELECT * FROM credential WHERE workspace_id = $1", flow.workspace)
    assert (row["kind"], row["expires_at"]) == ("oauth", EXPIRES_AT)
    assert GOOD_TOKEN.encode() not in row["access_sealed"] + row["refresh_sealed"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [({}, ["issues"]), ({"features": None}, ["issues"]), ({"features": ["boards"]}, ["boards"])],
)
async def test_no_features_given_are_the_enabled_ones(flow: Consent, body: dict[str, Any], expected: list[str]) -> None:
    assert (await connected(flow, **body))["features"] == expected


async def test_reconnect_renews_the_grant_of_the_same_account(flow: Consent, admin: Admin) -> None:
    one = await connected(flow)
    flow.provider.gives = token_answer(SECOND_TOKEN)
    handle = await flow.reconnect(one["id"])
    again = (await flow.complete(attemptId=flow.attempt, handle=handle)).json()
    assert (again["id"], again["status"]) == (one["id"], "active")
    topic, event = (await events(admin, flow.workspace))[-1]
    assert (topic, event["reconnected"]) == ("integration.connected", True)
    kept = await admin.fetch(
        "SELECT erased_at IS NULL AS alive FROM credential WHERE integration_id = $1 ORDER BY version", one["id"]
    )
    assert [row["alive"] for row in kept] == [False, True]


async def test_reconnect_of_another_account_binds_nothing(flow: Consent) -> None:
    one = await connected(flow)
    flow.provider.gives = token_answer(OTHER_TOKEN)
    handle = await flow.reconnect(one["id"])
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (409, "other_account", None)
    assert (await flow.stands())["code"] == "other_account"
    assert (await flow.api.get(f"/v1/integrations/{one['id']}")).json()["account"]["id"] == "acc-1"


async def test_type_taken_meanwhile_is_409_and_the_attempt_failed(flow: Consent, admin: Admin) -> None:
    handle = await flow.handle()
    assert (await connect(flow.api, flow.workspace)).status_code == 201
    assert refusal(await flow.begin()) == (409, "type_already_connected", "/provider")
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (409, "type_already_connected", None)
    assert (await flow.stands())["state"] == "failed"
    assert [topic for topic, _ in await events(admin, flow.workspace)] == ["integration.connected"]


async def test_idempotency_key_begins_one_attempt(flow: Consent, admin: Admin) -> None:
    body, headers = {"provider": "tracker", "redirectUrl": OPENER}, {"idempotency-key": "once"}
    path = f"/v1/workspaces/{flow.workspace}/connect"
    first, again = [await flow.api.post(path, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.json()) == (201, first.json())
    other = await flow.api.post(path, json={**body, "name": "Another"}, headers=headers)
    assert refusal(other) == (422, "idempotency_key_reused", "/idempotency-key")
    assert await admin.fetchval("SELECT count(*) FROM oauth_attempt WHERE workspace_id = $1", flow.workspace) == 1


async def test_catalogue_says_that_oauth_is_configured(flow: Consent) -> None:
    found = {item["id"]: item for item in (await flow.api.get("/v1/providers")).json()["items"]}
    assert [(way["kind"], way["configured"]) for way in found["tracker"]["connect"]] == [
        ("oauth", True),
        ("token", True),
    ]


async def test_disconnect_ends_the_grant_at_the_provider_after_the_teardown(
    flow: Consent, deps: Deps, admin: Admin
) -> None:
    one = await connected(flow)
    await flow.api.delete(f"/v1/integrations/{one['id']}")
    assert flow.provider.ended == []
    for _ in range(2):
        await erase_grant(deps=deps, workspace=flow.workspace, integration_id=one["id"])
    assert flow.provider.ended == [GOOD_TOKEN]
    assert await audit(admin, flow.workspace, "grant.revoked") == [("auth", "done")]
    assert await admin.fetchval("SELECT access_sealed IS NULL FROM credential WHERE integration_id = $1", one["id"])


async def test_failed_revocation_is_told_to_the_audit_log_and_erases_all_the_same(
    flow: Consent, deps: Deps, admin: Admin
) -> None:
    one = await connected(flow)
    flow.provider.revoking = ProviderUnavailable("away")
    await flow.api.delete(f"/v1/integrations/{one['id']}")
    await erase_grant(deps=deps, workspace=flow.workspace, integration_id=one["id"])
    assert await audit(admin, flow.workspace, "grant.revoked") == [("auth", "provider_unavailable")]
    sql = "SELECT access_sealed IS NULL AND refresh_sealed IS NULL FROM credential WHERE integration_id = $1"
    assert await admin.fetchval(sql, one["id"])


async def test_token_of_a_person_is_never_revoked(flow: Consent, deps: Deps) -> None:
    one = (await connect(flow.api, flow.workspace)).json()
    await flow.api.delete(f"/v1/integrations/{one['id']}")
    await erase_grant(deps=deps, workspace=flow.workspace, integration_id=one["id"])
    assert flow.provider.ended == []


async def test_erased_workspace_revokes_its_grants_and_forgets_its_attempts(
    flow: Consent, deps: Deps, admin: Admin
) -> None:
    await connected(flow)
    await flow.api.delete(f"/v1/workspaces/{flow.workspace}")
    await finish_erasure(flow.workspace, deps=deps)
    assert flow.provider.ended == [GOOD_TOKEN]
    assert await admin.fetchval("SELECT count(*) FROM oauth_attempt WHERE workspace_id = $1", flow.workspace) == 0


async def test_consent_of_a_workspace_that_is_being_erased_is_not_begun_and_makes_no_key(
    flow: Consent, admin: Admin
) -> None:
    await flow.begin()
    await admin.execute("UPDATE workspace SET deleting_at = now() WHERE workspace_id = $1", flow.workspace)
    assert (await flow.start()).status_code == 404
    assert await admin.fetchval("SELECT count(*) FROM data_key WHERE workspace_id = $1", flow.workspace) == 0


class TestOwnPage:
    """The operator has named the application's own callback page."""

    PAGE = "https://app.example/auth-callback?provider=Tracker&x=%20y"

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {
            "TRACKER_CLIENT_ID": "id", "TRACKER_CLIENT_SECRET": "cs-0123456789abcdef",
            "TRACKER_INTEGRATION_REDIRECT_URI": self.PAGE,
        }  # fmt: skip

    async def test_named_page_is_the_way_back_byte_for_byte(self, flow: Consent) -> None:
        returned = await flow.consent()
        assert parse_qs(urlsplit(flow.location).query)["redirect_uri"] == [self.PAGE]
        assert (await flow.complete(**returned)).status_code == 200

    async def test_callback_of_the_body_wins(self, flow: Consent) -> None:
        await flow.consent(callback="sluice")
        sent = parse_qs(urlsplit(flow.location).query)["redirect_uri"]
        assert sent == ["http://localhost:8080/v1/oauth/callback/tracker"]
        assert (await flow.callback()).status_code == 200
