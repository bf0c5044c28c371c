"""A grant that no integration keeps ends where it was given, and why it is not kept is all that the caller hears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.errors import AuthRevoked, DependencyDown, ProviderUnavailable
from libs.common.provider.auth import Account
from services.auth.app import create_app, create_operations
from services.auth.deps import Deps
from tests.integration.auth.oauth.consenting import Consent
from tests.integration.auth.provider_double import GOOD_TOKEN, OTHER_TOKEN, ProviderDouble, token_answer
from tests.integration.auth.test_broker_and_walls import audit
from tests.integration.auth.test_connect import connect, refusal

Admin = asyncpg.Connection
Prepare = Callable[[Consent, Admin], Awaitable[None]]


async def less_was_granted(flow: Consent, admin: Admin) -> None:
    flow.provider.gives = token_answer(scopes=("read",))


async def provider_went_away(flow: Consent, admin: Admin) -> None:
    flow.provider.away = True


async def grant_is_refused_at_once(flow: Consent, admin: Admin) -> None:
    flow.provider.revoked = {GOOD_TOKEN}


async def type_is_taken(flow: Consent, admin: Admin) -> None:
    assert (await connect(flow.api, flow.workspace)).status_code == 201


async def feature_is_no_more(flow: Consent, admin: Admin) -> None:
    """The provider's manifest has changed while the user looked at the consent page."""
    await admin.execute(
        "UPDATE oauth_attempt SET asked = convert_to(replace(convert_from(asked, 'UTF8'), 'boards', 'gone'), 'UTF8')"
        " WHERE id = $1",
        flow.attempt,
    )


UNKEPT: dict[str, tuple[Prepare, tuple[int, str]]] = {
    "less was granted": (less_was_granted, (409, "oauth_scopes_missing")),
    "the account cannot be read": (provider_went_away, (503, "provider_unavailable")),
    "the grant is refused at once": (grant_is_refused_at_once, (409, "oauth_refused")),
    "the type is taken": (type_is_taken, (409, "type_already_connected")),
    "a feature is no more": (feature_is_no_more, (422, "invalid_input")),
}


@pytest.mark.parametrize("name", UNKEPT)
async def test_grant_of_a_connect_that_fails_is_revoked_once(flow: Consent, admin: Admin, name: str) -> None:
    prepare, expected = UNKEPT[name]
    handle = await flow.handle(features=["issues", "boards"])
    await prepare(flow, admin)
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (*expected, None)
    assert (await flow.stands())["code"] == expected[1]
    assert refusal(await flow.complete(attemptId=flow.attempt, handle=handle))[:2] == (409, "oauth_state_unknown")
    assert flow.provider.ended == [GOOD_TOKEN]
    assert await audit(admin, flow.workspace, "grant.revoked") == [("auth", "done")]


async def completed_beside(
    flow: Consent, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[None]]
) -> httpx.Response:
    """It happens while the provider is asked whose the grant is."""

    async def check(http: object) -> Account:
        await happens()
        return Account(account_id="acc-1", account_name="ACC-1")

    handle = await flow.handle()
    monkeypatch.setattr(flow.provider, "check", check)
    return await flow.complete(attemptId=flow.attempt, handle=handle)


async def test_grant_for_a_workspace_that_was_deleted_meanwhile_is_revoked(
    flow: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deleted() -> None:
        assert (await flow.api.delete(f"/v1/workspaces/{flow.workspace}")).status_code == 204

    done = await completed_beside(flow, monkeypatch, deleted)
    assert refusal(done)[:2] == (404, "unknown_workspace")
    assert flow.provider.ended == [GOOD_TOKEN]


async def test_grant_of_another_account_is_revoked_and_the_one_that_is_kept_stays(flow: Consent) -> None:
    handle = await flow.handle()
    one = (await flow.complete(attemptId=flow.attempt, handle=handle)).json()
    flow.provider.gives = token_answer(OTHER_TOKEN)
    handle = await flow.reconnect(one["id"])
    assert refusal(await flow.complete(attemptId=flow.attempt, handle=handle))[:2] == (409, "other_account")
    assert flow.provider.ended == [OTHER_TOKEN]
    assert (await flow.api.get(f"/v1/integrations/{one['id']}")).json()["status"] == "active"


async def test_grant_of_an_attempt_that_was_held_to_be_dead_is_revoked(
    flow: Consent, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def given_up() -> None:
        await admin.execute("UPDATE oauth_attempt SET state = 'failed', ticket = NULL WHERE id = $1", flow.attempt)

    done = await completed_beside(flow, monkeypatch, given_up)
    assert refusal(done)[:2] == (409, "oauth_state_unknown")
    assert flow.provider.ended == [GOOD_TOKEN]


async def test_refused_code_and_a_kept_grant_revoke_nothing(flow: Consent) -> None:
    flow.provider.gives = AuthRevoked("the double refuses this code")
    handle = await flow.handle()
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 409
    flow.provider.gives = token_answer()
    handle = await flow.handle()
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200
    assert flow.provider.ended == []


async def test_failed_revocation_is_told_and_the_caller_hears_why_nothing_was_connected(
    flow: Consent, admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    flow.provider.gives = token_answer(scopes=("read",))
    flow.provider.revoking = ProviderUnavailable("away")
    handle = await flow.handle()
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (409, "oauth_scopes_missing", None)
    assert await audit(admin, flow.workspace, "grant.revoked") == [("auth", "provider_unavailable")]
    logged = capsys.readouterr().err
    assert [line for line in logged.splitlines() if '"grant_left_alive"' in line and flow.attempt in line]
    assert GOOD_TOKEN not in logged


@dataclass
class UnheardCommit:
    """A Postgres that commits what emits an event, and goes away before it says so."""

    db: Database

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    @asynccontextmanager
    async def transaction(self, workspace: str) -> AsyncIterator[Transaction]:
        async with self.db.transaction(workspace) as tx:
            yield tx
        if tx.emitted:
            raise DependencyDown("Postgres is away")


async def test_grant_whose_commit_was_not_heard_of_is_kept(flow: Consent, deps: Deps, provider: ProviderDouble) -> None:
    handle = await flow.handle()
    db: Any = UnheardCommit(deps.db)
    deaf = replace(deps, db=db)
    transport = httpx.ASGITransport(app=create_app(deaf, create_operations(deaf)))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth", headers=flow.api.headers) as api:
        done = await replace(flow, api=api).complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done)[:2] == (503, "dependency_down")
    assert (await flow.stands())["state"] == "connected"
    assert provider.ended == []
