"""After the connect: configure, pause, check, reconnect, disconnect, and the end of a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.events import FeedbackRecorded, SyncStateChanged, WebhookSubscriptionChanged
from libs.common.testing.eventually import eventually
from services.auth.consumers import on_feedback_recorded, on_sync_state_changed, on_webhook_subscription_changed
from services.auth.deps import Deps
from services.auth.use_cases.disconnect import erase_grant
from services.auth.use_cases.workspaces import finish_erasure
from services.auth.workers import create_job_worker
from tests.integration.auth.provider_double import GOOD_TOKEN, OTHER_TOKEN, SECOND_TOKEN, ProviderDouble
from tests.integration.auth.test_connect import connect, events, refusal

Admin = asyncpg.Connection


@pytest.fixture
async def one(api: httpx.AsyncClient, workspace: str) -> dict[str, Any]:
    made: dict[str, Any] = (await connect(api, workspace)).json()
    return made


async def topics(admin: Admin, workspace: str) -> list[str]:
    return [topic for topic, _ in await events(admin, workspace)]


@asynccontextmanager
async def working(deps: Deps) -> AsyncIterator[None]:
    """With the service's jobs running."""
    stop = asyncio.Event()
    running = asyncio.create_task(create_job_worker(deps).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def test_workspace_put_twice_is_one(api: httpx.AsyncClient) -> None:
    first, again = await api.put("/v1/workspaces/twice"), await api.put("/v1/workspaces/twice")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize("name", ["a%20b", "x" * 129, "ü", "a%2Fb"])
async def test_impossible_workspace_id_is_refused(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.put(f"/v1/workspaces/{name}")).status_code in (404, 422)


async def test_change_tells_the_new_desired_state(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin
) -> None:
    change = {"monitorChanges": True, "pollingEnabled": True, "pollingInterval": 3, "features": ["issues", "boards"]}
    changed = (await api.patch(f"/v1/integrations/{one['id']}", json=change)).json()
    assert {name: changed[name] for name in change} == change
    assert changed["version"] > one["version"]
    topic, told = (await events(admin, workspace))[-1]
    assert (topic, told["reason"], told["version"]) == ("integration.updated", "configured", changed["version"])
    assert told["state"]["features"] == ["issues", "boards"]
    assert told["state"]["polling_interval"] == 3


async def test_change_of_nothing_tells_nothing(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin
) -> None:
    answer = await api.patch(f"/v1/integrations/{one['id']}", json={"name": one["name"], "features": ["issues"]})
    assert answer.json() == one
    assert await topics(admin, workspace) == ["integration.connected"]


async def test_features_null_are_the_enabled_ones_again(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin
) -> None:
    place = f"/v1/integrations/{one['id']}"
    for asked, chosen in ((["boards"], ["boards"]), (None, ["issues"]), (None, ["issues"])):
        changed = (await api.patch(place, json={"features": asked})).json()
        assert changed["features"] == chosen
    assert await topics(admin, workspace) == ["integration.connected", *["integration.updated"] * 2]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pollingInterval": 0}, "/pollingInterval"),
        ({"pollingInterval": None}, "/pollingInterval"),
        ({"features": ["nope"]}, "/features/0"),
        ({"features": []}, "/features"),
        ({"config": {"password": "x"}}, "/config/password"),
        ({"metadata": {"a": "x" * 70_000}}, "/metadata"),
        ({"name": ""}, "/name"),
        ({"status": "active"}, "/"),
    ],
)
async def test_invalid_change_is_422_and_changes_nothing(
    api: httpx.AsyncClient, one: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    response = await api.patch(f"/v1/integrations/{one['id']}", json=change)
    assert refusal(response) == (422, "invalid_input", pointer)
    assert (await api.get(f"/v1/integrations/{one['id']}")).json() == one


async def test_settings_of_a_site_are_replaced_without_its_address_and_another_address_is_refused(
    api: httpx.AsyncClient, workspace: str
) -> None:
    site = (await connect(api, workspace, provider="site", token=None, url="https://a.example")).json()
    place = f"/v1/integrations/{site['id']}"
    for config in ({}, site["config"]):
        assert (await api.patch(place, json={"config": config})).json()["config"] == site["config"]
    assert (await api.post(f"{place}/check")).json()["result"] == "passed"
    response = await api.patch(place, json={"config": {"url": "https://b.example"}})
    assert refusal(response) == (422, "invalid_input", "/config/url")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_integration_is_404(api: httpx.AsyncClient, method: str) -> None:
    response = await api.request(method, "/v1/integrations/no-such-id", json={} if method == "PATCH" else None)
    assert refusal(response)[:2] == (404, "not_found")


async def test_listing_pages_and_filters(api: httpx.AsyncClient, workspace: str, one: dict[str, Any]) -> None:
    other = (await connect(api, workspace, provider="site", token=None, url="https://a.example")).json()
    await api.post(f"/v1/integrations/{other['id']}/pause")
    path = f"/v1/workspaces/{workspace}/integrations"
    first = (await api.get(path, params={"limit": 1})).json()
    second = (await api.get(path, params={"limit": 1, "cursor": first["nextCursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [one["id"], other["id"]]
    assert second["nextCursor"] is None
    paused = (await api.get(path, params={"status": "inactive"})).json()["items"]
    assert [item["id"] for item in paused] == [other["id"]]


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ({"cursor": "!!"}, "invalid_cursor", "/cursor"),
        ({"cursor": "eyJhIjoxfQ"}, "invalid_cursor", "/cursor"),
        ({"status": "asleep"}, "invalid_input", "/status"),
        ({"limit": "0"}, "invalid_input", "/limit"),
        ({"limit": "many"}, "invalid_input", "/limit"),
    ],
)
async def test_invalid_query_is_422(
    api: httpx.AsyncClient, workspace: str, query: dict[str, str], code: str, pointer: str
) -> None:
    response = await api.get(f"/v1/workspaces/{workspace}/integrations", params=query)
    assert refusal(response) == (422, code, pointer)


async def test_pause_and_resume_change_the_status(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin
) -> None:
    path = f"/v1/integrations/{one['id']}"
    paused = (await api.post(f"{path}/pause")).json()
    assert (paused["status"], paused["statusReason"]) == ("inactive", "paused")
    await api.post(f"{path}/pause")
    resumed = (await api.post(f"{path}/resume")).json()
    assert (resumed["status"], resumed["statusReason"]) == ("active", None)
    reasons = [(told["reason"], told["state"]["status"]) for _, told in (await events(admin, workspace))[1:]]
    assert reasons == [("paused", "inactive"), ("resumed", "active")]


async def test_check_passes_fails_or_does_not_know(
    api: httpx.AsyncClient, one: dict[str, Any], provider: ProviderDouble, workspace: str, admin: Admin
) -> None:
    path = f"/v1/integrations/{one['id']}"
    assert (await api.post(f"{path}/check")).json() == {"result": "passed", "code": None, "detail": None}
    provider.away = True
    assert (await api.post(f"{path}/check")).json()["result"] == "indeterminate"
    assert (await api.get(path)).json()["status"] == "active"
    provider.away, provider.revoked = False, {GOOD_TOKEN}
    assert (await api.post(f"{path}/check")).json()["result"] == "failed"
    assert (await api.get(path)).json()["statusReason"] == "grant_lost"
    provider.revoked = set()
    assert (await api.post(f"{path}/check")).json()["result"] == "passed"
    assert (await api.get(path)).json()["status"] == "active"
    assert await topics(admin, workspace) == [
        "integration.connected",
        "integration.auth_failed",
        "integration.updated",
    ]


async def test_reconnect_of_the_same_account_heals(
    api: httpx.AsyncClient, one: dict[str, Any], provider: ProviderDouble, workspace: str, admin: Admin
) -> None:
    path = f"/v1/integrations/{one['id']}"
    provider.revoked = {GOOD_TOKEN}
    await api.post(f"{path}/check")
    healed = (await api.post(f"{path}/reconnect", json={"token": SECOND_TOKEN})).json()
    assert (healed["status"], healed["id"]) == ("active", one["id"])
    topic, told = (await events(admin, workspace))[-1]
    assert (topic, told["reconnected"], told["version"]) == ("integration.connected", True, healed["version"])
    kept = await admin.fetch(
        "SELECT erased_at IS NOT NULL AS erased FROM credential WHERE workspace_id = $1 ORDER BY version", workspace
    )
    assert [row["erased"] for row in kept] == [True, False]


async def test_reconnect_of_another_account_is_409(api: httpx.AsyncClient, one: dict[str, Any]) -> None:
    path = f"/v1/integrations/{one['id']}/reconnect"
    assert refusal(await api.post(path, json={"token": OTHER_TOKEN})) == (409, "other_account", "/token")
    assert refusal(await api.post(path, json={"token": "tok-nobody"})) == (422, "token_refused", "/token")
    assert refusal(await api.post(path, json={})) == (422, "invalid_input", "/token")


async def test_disconnect_frees_the_type_and_keeps_the_grant_for_teardown(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin, deps: Deps
) -> None:
    path = f"/v1/integrations/{one['id']}"
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).json()["statusReason"] == "disconnected"
    assert (await api.get(f"/v1/workspaces/{workspace}/integrations")).json()["items"] == []
    assert refusal(await api.post(f"{path}/pause"))[:2] == (409, "disconnected")
    assert (await connect(api, workspace)).status_code == 201
    topic, told = (await events(admin, workspace))[1]
    assert (topic, told["cause"], told["integration_id"]) == ("integration.disconnected", "user", one["id"])
    due = await admin.fetchval(
        "SELECT extract(epoch FROM run_at - now()) FROM job WHERE workspace_id = $1 AND kind = 'erase_grant'", workspace
    )
    assert 50 < due <= 60
    await erase_grant(deps=deps, workspace=workspace, integration_id=one["id"])
    erased = await admin.fetchval("SELECT access_sealed IS NULL FROM credential WHERE integration_id = $1", one["id"])
    assert erased is True


async def test_acknowledged_teardown_erases_before_the_deadline(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin, deps: Deps
) -> None:
    await api.delete(f"/v1/integrations/{one['id']}")
    event = WebhookSubscriptionChanged(workspace_id=workspace, integration_id=one["id"], version=9, state="removed")
    await on_webhook_subscription_changed(event, deps)
    sql = "SELECT access_sealed IS NULL FROM credential WHERE integration_id = $1"
    async with working(deps):
        await eventually(lambda: admin.fetchval(sql, one["id"]))


async def test_grant_of_a_new_connection_survives_the_old_ones_erasure(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin, deps: Deps
) -> None:
    await api.delete(f"/v1/integrations/{one['id']}")
    again = (await connect(api, workspace)).json()
    await erase_grant(deps=deps, workspace=workspace, integration_id=one["id"])
    assert (await api.post(f"/v1/integrations/{again['id']}/check")).json()["result"] == "passed"


def state(one: dict[str, Any], version: int, **values: Any) -> SyncStateChanged:
    fields: dict[str, Any] = {"last_polled_at": None, "next_poll_at": None, "change_count": 0, "error_count": 0}
    return SyncStateChanged(
        workspace_id=one["workspaceId"],
        integration_id=one["id"],
        version=version,
        **{**fields, "last_error": None, **values},
    )


async def test_observed_state_is_shown_and_only_the_newest_counts(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, deps: Deps, admin: Admin
) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    newest = state(one, 20, change_count=7, error_count=1, last_error="away", last_polled_at=at, next_poll_at=at)
    for event in (newest, state(one, 10, change_count=3), newest):
        await on_sync_state_changed(event, deps)
    hooks = WebhookSubscriptionChanged(
        workspace_id=workspace, integration_id=one["id"], version=4, state="active", subscriptions=2
    )
    await on_webhook_subscription_changed(hooks, deps)
    signal = FeedbackRecorded(
        workspace_id=workspace,
        integration_id=one["id"],
        source_id="s",
        version=2,
        helpful=5,
        unhelpful=1,
        outdated=0,
        incorrect=0,
    )
    await on_feedback_recorded(signal, deps)
    shown = (await api.get(f"/v1/integrations/{one['id']}")).json()
    assert (shown["changeCount"], shown["errorCount"], shown["lastError"]) == (7, 1, "away")
    assert shown["lastPolledAt"] == shown["nextPollAt"] == "2026-01-02T03:04:05Z"
    assert (shown["webhook"]["state"], shown["webhook"]["subscriptions"]) == ("active", 2)
    assert shown["feedback"] == {"helpful": 5, "unhelpful": 1, "outdated": 0, "incorrect": 0}
    assert (shown["version"], shown["status"]) == (one["version"], "active")
    assert await topics(admin, workspace) == ["integration.connected"]


async def test_five_failed_runs_are_an_error_and_one_success_ends_it(
    api: httpx.AsyncClient, one: dict[str, Any], deps: Deps
) -> None:
    path, seen = f"/v1/integrations/{one['id']}", []
    for version, errors in ((1, 4), (2, 5), (3, 6), (4, 0)):
        await on_sync_state_changed(state(one, version, error_count=errors), deps)
        seen.append((await api.get(path)).json()["status"])
    assert seen == ["active", "error", "error", "active"]


async def test_event_of_an_unknown_integration_is_ignored(deps: Deps, workspace: str, one: dict[str, Any]) -> None:
    await on_sync_state_changed(state({**one, "id": "gone"}, 1), deps)
    await on_sync_state_changed(state({**one, "workspaceId": "another-workspace"}, 99, error_count=9), deps)
    async with deps.db.transaction(workspace) as tx:
        assert await tx.fetch_value("SELECT error_count FROM observation WHERE integration_id = :id", id=one["id"]) == 0


async def test_deleted_workspace_is_gone_at_once_and_erased_after_the_teardown(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin, deps: Deps
) -> None:
    assert (await api.delete(f"/v1/workspaces/{workspace}")).status_code == 204
    assert refusal(await api.get(f"/v1/workspaces/{workspace}/integrations"))[:2] == (404, "unknown_workspace")
    assert refusal(await api.get(f"/v1/integrations/{one['id']}"))[0] == 404
    assert refusal(await api.patch(f"/v1/integrations/{one['id']}", json={}))[0] == 404
    assert refusal(await connect(api, workspace))[0] == 404
    assert refusal(await api.delete(f"/v1/workspaces/{workspace}"))[0] == 404
    assert refusal(await api.put(f"/v1/workspaces/{workspace}"))[:2] == (409, "workspace_erased")
    assert await topics(admin, workspace) == ["integration.connected", "integration.disconnected"]
    await finish_erasure(workspace, deps=deps)
    await finish_erasure(workspace, deps=deps)
    assert await topics(admin, workspace) == ["integration.disconnected", "workspace.deleted"]
    for table in ("workspace", "integration", "observation", "credential", "idempotency", "data_key", "job"):
        assert await admin.fetchval(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", workspace) == 0
    assert await admin.fetchval("SELECT count(*) FROM erased_workspace WHERE workspace_id = $1", workspace) == 1
    actions = await admin.fetch("SELECT action FROM audit WHERE workspace_id = $1 ORDER BY at", workspace)
    assert [row["action"] for row in actions][-2:] == ["workspace.delete_asked", "workspace.erased"]
    assert refusal(await api.put(f"/v1/workspaces/{workspace}"))[:2] == (409, "workspace_erased")
    assert refusal(await connect(api, workspace))[0] == 404


async def test_empty_workspace_is_erased_at_once(api: httpx.AsyncClient, workspace: str, admin: Admin) -> None:
    await api.delete(f"/v1/workspaces/{workspace}")
    assert await topics(admin, workspace) == ["workspace.deleted"]


async def test_acknowledgement_lets_the_worker_erase_the_workspace(
    api: httpx.AsyncClient, one: dict[str, Any], workspace: str, admin: Admin, deps: Deps
) -> None:
    await api.delete(f"/v1/workspaces/{workspace}")
    event = WebhookSubscriptionChanged(workspace_id=workspace, integration_id=one["id"], version=9, state="removed")
    await on_webhook_subscription_changed(event, deps)

    async def erased() -> bool:
        return "workspace.deleted" in await topics(admin, workspace)

    async with working(deps):
        await eventually(erased)
    assert await admin.fetchval("SELECT count(*) FROM job WHERE workspace_id = $1", workspace) == 0
