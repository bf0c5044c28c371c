"""The access-token broker, and the walls between workspaces, services and roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from services.auth.deps import Deps
from services.auth.tables import TENANT_TABLES
from tests.integration.auth.provider_double import GOOD_TOKEN, SECOND_TOKEN, ProviderDouble
from tests.integration.auth.test_connect import connect, events, refusal

Admin = asyncpg.Connection
AsService = Callable[[str], dict[str, str]]
Ask = Callable[..., Any]


@pytest.fixture
async def one(api: httpx.AsyncClient, workspace: str) -> dict[str, Any]:
    made: dict[str, Any] = (await connect(api, workspace)).json()
    return made


@pytest.fixture
def ask(api: httpx.AsyncClient, as_service: AsService, one: dict[str, Any]) -> Ask:
    async def asking(service: str = "sync", **body: Any) -> httpx.Response:
        sent = {"workspace_id": one["workspaceId"], **body}
        path = f"/internal/v1/integrations/{one['id']}/access-token"
        return await api.post(path, json=sent, headers=as_service(service))

    return asking


async def audit(admin: Admin, workspace: str, action: str) -> list[tuple[str, str]]:
    rows = await admin.fetch(
        "SELECT actor, outcome FROM audit WHERE workspace_id = $1 AND action = $2 ORDER BY at", workspace, action
    )
    return [(row["actor"], row["outcome"]) for row in rows]


async def test_service_gets_the_token_and_an_audit_row(ask: Ask, workspace: str, admin: Admin) -> None:
    answer = (await ask()).json()
    assert answer.pop("version") > 0
    spends = {name: answer.pop(name) for name in ("account", "budget_key")}
    assert answer == {"token": GOOD_TOKEN, "expires_at": None, "provider": "tracker", "config": {}}
    told = (await ask("webhooks", purpose="hooks")).json()
    assert spends == {name: told[name] for name in spends}
    assert all(spends.values())
    assert await audit(admin, workspace, "token.lent") == [("sync", "done"), ("webhooks", "done")]


async def test_job_of_another_workspace_is_403_and_audited(ask: Ask, workspace: str, admin: Admin) -> None:
    response = await ask(workspace_id="somebody-elses")
    assert refusal(response)[:2] == (403, "forbidden")
    assert GOOD_TOKEN not in response.text
    assert await audit(admin, workspace, "token.lent") == [("sync", "foreign_workspace")]


async def test_api_key_gets_no_token(api: httpx.AsyncClient, one: dict[str, Any]) -> None:
    path = f"/internal/v1/integrations/{one['id']}/access-token"
    assert refusal(await api.post(path, json={"workspace_id": one["workspaceId"]}))[:2] == (403, "forbidden")


async def test_service_token_opens_no_public_route(
    api: httpx.AsyncClient, workspace: str, as_service: AsService
) -> None:
    response = await api.get(f"/v1/workspaces/{workspace}/integrations", headers=as_service("sync"))
    assert refusal(response)[:2] == (403, "forbidden")


async def test_unknown_integration_is_404(api: httpx.AsyncClient, as_service: AsService) -> None:
    path = "/internal/v1/integrations/none/access-token"
    assert refusal(await api.post(path, json={"workspace_id": "w"}, headers=as_service("sync")))[0] == 404


async def test_refused_newest_version_is_verified_and_told_once(
    ask: Ask, api: httpx.AsyncClient, one: dict[str, Any], provider: ProviderDouble, workspace: str, admin: Admin
) -> None:
    version = (await ask()).json()["version"]
    provider.revoked = {GOOD_TOKEN}
    for _ in range(2):
        assert refusal(await ask(refused_version=version))[:2] == (409, "auth_revoked")
    assert refusal(await ask())[:2] == (409, "auth_revoked")
    told = [told for topic, told in await events(admin, workspace) if topic == "integration.auth_failed"]
    assert [event["code"] for event in told] == ["auth_revoked"]
    shown = (await api.get(f"/v1/integrations/{one['id']}")).json()
    assert (shown["status"], shown["statusReason"]) == ("error", "grant_lost")
    assert await audit(admin, workspace, "token.lent") == [("sync", "done")]


async def test_passing_refusal_gets_the_same_token_again(ask: Ask, provider: ProviderDouble) -> None:
    version = (await ask()).json()["version"]
    asked = provider.asked
    assert (await ask(refused_version=version)).json()["token"] == GOOD_TOKEN
    assert provider.asked == asked + 1


async def test_refusal_while_the_provider_is_away_decides_nothing(
    ask: Ask, api: httpx.AsyncClient, one: dict[str, Any], provider: ProviderDouble
) -> None:
    version = (await ask()).json()["version"]
    provider.away = True
    assert refusal(await ask(refused_version=version))[:2] == (503, "provider_unavailable")
    assert (await api.get(f"/v1/integrations/{one['id']}")).json()["status"] == "active"


async def test_refused_older_version_gets_the_newer_without_asking_the_provider(
    ask: Ask, api: httpx.AsyncClient, one: dict[str, Any], provider: ProviderDouble
) -> None:
    version = (await ask()).json()["version"]
    await api.post(f"/v1/integrations/{one['id']}/reconnect", json={"token": SECOND_TOKEN})
    asked = provider.asked
    assert (await ask(refused_version=version)).json()["token"] == SECOND_TOKEN
    assert provider.asked == asked


async def test_after_a_disconnect_only_the_teardown_is_lent_to(
    ask: Ask, api: httpx.AsyncClient, one: dict[str, Any], deps: Deps
) -> None:
    await api.delete(f"/v1/integrations/{one['id']}")
    assert refusal(await ask())[:2] == (409, "auth_revoked")
    assert (await ask(purpose="teardown")).json()["token"] == GOOD_TOKEN
    async with deps.db.transaction(one["workspaceId"]) as tx:
        await tx.execute("UPDATE credential SET access_sealed = NULL, erased_at = now()")
    assert refusal(await ask(purpose="teardown"))[:2] == (409, "auth_revoked")


async def test_deleted_workspace_still_lends_for_teardown(ask: Ask, api: httpx.AsyncClient, workspace: str) -> None:
    await api.delete(f"/v1/workspaces/{workspace}")
    assert (await ask(purpose="teardown")).json()["token"] == GOOD_TOKEN


async def test_credential_moved_to_another_row_does_not_open(
    ask: Ask, api: httpx.AsyncClient, workspace: str, one: dict[str, Any], deps: Deps
) -> None:
    await api.delete(f"/v1/integrations/{one['id']}")
    other = (await connect(api, workspace, token=SECOND_TOKEN)).json()
    async with deps.db.transaction(workspace) as tx:
        await tx.execute(
            "UPDATE credential SET access_sealed = (SELECT access_sealed FROM credential WHERE integration_id = :mine)"
            " WHERE integration_id = :other",
            mine=one["id"],
            other=other["id"],
        )
    response = await api.post(f"/v1/integrations/{other['id']}/check")
    assert (response.status_code, GOOD_TOKEN in response.text) == (500, False)


async def test_every_tenant_table_forces_row_level_security(admin: Admin) -> None:
    rows = await admin.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r'"
        " AND relrowsecurity AND relforcerowsecurity"
    )
    secured = {row["relname"] for row in rows}
    owning = await admin.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns"
        " WHERE table_schema = 'auth' AND column_name = 'workspace_id'"
    )
    assert {row["table_name"] for row in owning} <= secured
    assert set(TENANT_TABLES) <= secured


async def test_another_workspace_sees_and_writes_nothing(deps: Deps, one: dict[str, Any]) -> None:
    async with deps.db.transaction("another") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM integration") == 0
        assert await tx.execute("UPDATE integration SET name = 'x' WHERE id = :id", id=one["id"]) == 0
    with pytest.raises(asyncpg.PostgresError, match="row-level security"):
        async with deps.db.transaction("another") as tx:
            await tx.execute("INSERT INTO workspace (workspace_id) VALUES ('not-mine')")


async def test_worker_role_reads_no_credential(deps: Deps, one: dict[str, Any]) -> None:
    async with deps.db.queue() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM credential") == 0
        assert await tx.fetch_value("SELECT count(*) FROM integration") == 0


async def test_audit_rows_cannot_be_rewritten(deps: Deps, workspace: str, one: dict[str, Any]) -> None:
    with pytest.raises(asyncpg.PostgresError, match="permission denied"):
        async with deps.db.transaction(workspace) as tx:
            await tx.execute("DELETE FROM audit")


async def test_catalogue_tells_features_ways_and_what_is_missing(api: httpx.AsyncClient) -> None:
    found = {item["id"]: item for item in (await api.get("/v1/providers")).json()["items"]}
    tracker = found["tracker"]
    assert tracker["icon"].endswith("/v1/providers/tracker/icon")
    assert [(one["id"], one["enabled"]) for one in tracker["features"]] == [("issues", True), ("boards", False)]
    oauth, token = tracker["connect"]
    assert (oauth["configured"], oauth["missing"]) == (False, ["TRACKER_CLIENT_ID", "TRACKER_CLIENT_SECRET"])
    assert (token["kind"], token["configured"], token["missing"]) == ("token", True, [])
    assert (tracker["configured"], found["someday"]["configured"], found["someday"]["status"]) == (
        True,
        False,
        "planned",
    )
