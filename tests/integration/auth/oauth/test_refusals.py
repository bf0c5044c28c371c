"""Everything that must not connect, each refused by its own code, and none of it using up what is somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from libs.common.clock import Clock, FixedClock, SystemClock
from libs.common.errors import AuthRevoked, LostSight, ProviderContractBroken, ProviderUnavailable
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from services.auth.app import create_app, create_operations
from services.auth.deps import Deps
from services.auth.states import States, new_ticket
from tests.integration.auth.oauth.consenting import Consent, keys, message
from tests.integration.auth.provider_double import GOOD_TOKEN, token_answer
from tests.integration.auth.test_connect import events, refusal

Admin = asyncpg.Connection
ORIGIN = "http://localhost:5173"


async def nothing_connected(flow: Consent) -> bool:
    return bool((await flow.api.get(f"/v1/workspaces/{flow.workspace}/integrations")).json()["items"] == [])


def page_code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"].startswith("text/html")
    assert "const told" not in response.text
    return response.status_code, response.headers["x-error-code"]


@pytest.mark.parametrize(
    "url",
    [
        "//localhost:5173/", "/\\localhost:5173", "http:/localhost:5173", "http:\\\\localhost:5173/", "localhost:5173",
        "http://localhost:5173@evil.example/", "http://user:pw@localhost:5173/", "http://localhost:5173.evil.example/",
        "http://evil.example/http://localhost:5173/", "http://localhost:51730/", "http://localhost:5174/",
        "http://localhost/", "https://localhost:5173/", "http://app.localhost:5173/", "http://localhost.:5173/",
        "HTTP://localhost:5173/", "http://LOCALHOST:5173/", "http://127.0.0.1:5173/", "http://localhost:05173/",
        "javascript:alert(1)//http://localhost:5173", "data:text/html,x", " http://localhost:5173/",
        "http://localhost:5173/ ", "http://localhost:5173/\t", "http://localhost:5173/\r\nset-cookie: a=b",
        "http://localhost:5173\\@evil.example/", "http://localhost:5173/\\evil",
        "http://localhost:5173:80/", "http://localhost:5173;evil", "http://localhost:5173%2f%2fevil", "null", "*", "",
        "http://localhost:5173/é", "http://localhost:5173/" + "x" * 2048, "http://locälhost:5173/", "http://[::1]:5173/",
    ],
)  # fmt: skip
async def test_redirect_url_off_the_list_is_refused(flow: Consent, url: str) -> None:
    assert refusal(await flow.begin(redirectUrl=url)) == (422, "redirect_not_allowed", "/redirectUrl")


@pytest.mark.parametrize("tail", ["", "/", "?a=1", "/a/b?c=d//e", "//e", "/@x", "/%0d%0a", "#here", "/a#/b"])
async def test_redirect_url_on_the_very_origin_is_kept(flow: Consent, tail: str) -> None:
    assert (await flow.begin(redirectUrl=ORIGIN + tail)).status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"provider": "nowhere"}, (404, "not_found", "/provider")),
        ({"provider": "someday"}, (409, "provider_planned", "/provider")),
        ({"provider": "site"}, (422, "invalid_input", "/provider")),
        ({"features": ["issues", "nope"]}, (422, "invalid_input", "/features/1")),
        ({"features": []}, (422, "invalid_input", "/features")),
        ({"config": {"nope": 1}}, (422, "invalid_input", "/config/nope")),
        ({"config": {"clientSecret": "abc"}}, (422, "invalid_input", "/config/clientSecret")),
        ({"metadata": {"big": "x" * 65_536}}, (422, "invalid_input", "/metadata")),
        ({"pollingInterval": 0}, (422, "invalid_input", "/pollingInterval")),
        ({"name": " "}, (422, "invalid_input", "/name")),
        ({"resources": [""]}, (422, "invalid_input", "/resources/0")),
        ({"subject": ""}, (422, "invalid_input", "/subject")),
        ({"subject": "a\tb"}, (422, "invalid_input", "/subject")),
        ({"callback": "elsewhere"}, (422, "invalid_input", "/callback")),
        ({"token": GOOD_TOKEN}, (422, "invalid_input", "/")),
        ({"workspaceId": "another"}, (422, "invalid_input", "/")),
    ],
)
async def test_impossible_connect_is_refused_at_its_field(
    flow: Consent, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refusal(await flow.begin(**body)) == expected


async def test_unknown_workspace_is_404(flow: Consent) -> None:
    flow.workspace = "never-made"
    assert refusal(await flow.begin()) == (404, "unknown_workspace", None)


@pytest.mark.parametrize("callback", ["sluice", "application"])
async def test_fifty_at_once_make_one_token_request(flow: Consent, callback: str, admin: Admin, redis: Redis) -> None:
    if callback == "sluice":
        body: dict[str, str] = {"handle": await flow.handle(), "attemptId": flow.attempt}
    else:
        body = await flow.consent(callback=callback)
    answers = await asyncio.gather(*(flow.complete(**body) for _ in range(50)))
    codes = [200 if one.status_code == 200 else refusal(one)[:2] for one in answers]
    assert (codes.count(200), set(codes) - {200}) == (1, {(409, "oauth_state_unknown")})
    assert refusal(await flow.complete(**body)) == (409, "oauth_state_unknown", None)
    assert len(flow.provider.exchanged) == 1
    assert [topic for topic, _ in await events(admin, flow.workspace)] == ["integration.connected"]
    assert await keys(redis) == []


async def test_callback_fifty_times_at_once_parks_one_code(flow: Consent, redis: Redis) -> None:
    await flow.consent()
    answers = await asyncio.gather(*(flow.callback() for _ in range(50)))
    assert sorted(one.status_code for one in answers) == [200, *[409] * 49]
    assert len(await keys(redis)) == 1
    [page] = [one for one in answers if one.status_code == 200]
    done = await flow.complete(attemptId=flow.attempt, handle=message(page)["handle"])
    assert (done.status_code, len(flow.provider.exchanged)) == (200, 1)


async def test_unknown_state_is_refused(flow: Consent) -> None:
    returned = await flow.consent(callback="application")
    for state in ("", "x", new_ticket(), f"{flow.attempt}.{new_ticket()}", returned["state"] + "a", "."):
        assert refusal(await flow.complete(code="c", state=state)) == (409, "oauth_state_unknown", None)
    for absent in (f"{new_id()}.{new_ticket()}", "\ud7ff.x"):
        assert refusal(await flow.complete(code="c", state=absent))[:2] == (404, "not_found")
    assert (await flow.complete(**returned)).status_code == 200


async def test_unknown_handle_is_refused_and_burns_nothing(flow: Consent) -> None:
    handle = await flow.handle()
    for wrong in ("", "x", new_ticket(), flow.returned["state"]):
        assert refusal(await flow.complete(attemptId=flow.attempt, handle=wrong)) == (409, "oauth_state_unknown", None)
    assert refusal(await flow.complete(attemptId=new_id(), handle=handle))[:2] == (404, "not_found")
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200


async def test_state_is_no_handle(flow: Consent) -> None:
    returned = await flow.consent()
    taken = await flow.complete(attemptId=flow.attempt, handle=returned["state"])
    assert refusal(taken) == (409, "oauth_state_unknown", None)
    assert (await flow.callback()).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"attemptId": "a"}, {"handle": "h"}, {"code": "c"}, {"state": "s.t"}, {"code": "c", "error": "e"},
        {"state": "s.t", "code": "c", "error": "e"}, {"attemptId": "a", "handle": "h", "state": "s.t"},
        {"state": "s.t", "code": 7}, {"surprise": 1}, {"state": "s.t", "code": ""}, {"state": "s.t", "error": ""},
    ],
)  # fmt: skip
async def test_half_a_completion_is_422(flow: Consent, body: dict[str, Any]) -> None:
    assert refusal(await flow.complete(**body))[:2] == (422, "invalid_input")


async def test_empty_code_is_refused_and_burns_nothing(flow: Consent) -> None:
    returned = await flow.consent(callback="application")
    assert refusal(await flow.complete(**{**returned, "code": ""}))[:2] == (422, "invalid_input")
    assert (await flow.complete(**returned, error="")).status_code == 200


async def test_our_own_callback_cannot_be_gone_around(flow: Consent) -> None:
    returned = await flow.consent()
    assert refusal(await flow.complete(**returned)) == (409, "oauth_state_unknown", None)
    assert (await flow.callback()).status_code == 200


async def test_application_code_is_not_taken_by_our_callback(flow: Consent) -> None:
    returned = await flow.consent(callback="application")
    assert page_code(await flow.callback()) == (409, "oauth_state_unknown")
    assert (await flow.complete(**returned)).status_code == 200


@pytest.mark.parametrize("subject", [None, "user-2", "USER-1"])
async def test_another_subject_gets_404_and_burns_nothing(flow: Consent, subject: str | None) -> None:
    handle = await flow.handle(subject="user-1")
    named = {} if subject is None else {"subject": subject}
    stranger = await flow.complete(attemptId=flow.attempt, handle=handle, **named)
    assert refusal(stranger)[:2] == (404, "not_found")
    if subject is not None:
        path = f"/v1/oauth/attempts/{flow.attempt}"
        assert refusal(await flow.api.get(path, params=named))[:2] == (404, "not_found")
    done = await flow.complete(attemptId=flow.attempt, handle=handle, subject="user-1")
    assert (done.status_code, len(flow.provider.exchanged)) == (200, 1)


async def test_code_of_another_subject_gets_404_and_burns_nothing(flow: Consent) -> None:
    returned = await flow.consent(callback="application", subject="user-1")
    assert refusal(await flow.complete(**returned, subject="user-2"))[:2] == (404, "not_found")
    assert (await flow.complete(**returned, subject="user-1")).status_code == 200


async def test_hundred_mailed_links_bind_nothing(flow: Consent) -> None:
    """RELIABILITY A01: a victim's browser finishes what an attacker began, with the start hop's cookie and without."""
    for number in range(100):
        await flow.begin(subject="attacker")
        await flow.start()
        flow.returned = flow.provider.consent(flow.location)
        if number % 2:
            flow.browser.cookies.clear()
            assert page_code(await flow.callback()) == (403, "oauth_started_elsewhere")
            continue
        handle = message(await flow.callback())["handle"]
        victim = await flow.complete(attemptId=flow.attempt, handle=handle, subject="victim")
        assert refusal(victim)[:2] == (404, "not_found")
        # The attacker polls and never learns the handle, which went to the page of the victim.
        assert handle not in (await flow.api.get(f"/v1/oauth/attempts/{flow.attempt}")).text
    assert flow.provider.exchanged == []
    assert await nothing_connected(flow)


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "A" * 44, "é" * 43])
async def test_wrong_or_missing_cookie_burns_nothing(flow: Consent, cookie: str | None) -> None:
    await flow.consent()
    right = dict(flow.browser.cookies)
    assert list(right) == ["sluice-oauth"]
    flow.browser.cookies.clear()
    headers = {} if cookie is None else {"cookie": f"sluice-oauth={cookie}".encode()}
    path = "/v1/oauth/callback/tracker"
    refused = await flow.browser.get(path, params=flow.returned, headers=headers)  # type: ignore[arg-type]
    assert page_code(refused) == (403, "oauth_started_elsewhere")
    flow.browser.cookies.update(right)
    assert (await flow.callback()).status_code == 200


@pytest.mark.parametrize("ctx", ["site", "TRACKER", "tracker%20", "someday", "x"])
async def test_ctx_of_another_registration_is_refused(flow: Consent, ctx: str) -> None:
    await flow.consent()
    assert page_code(await flow.callback(ctx)) == (409, "oauth_state_unknown")
    assert (await flow.callback()).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["", "code=c", "state=s", "code=c&state=a.b&state=a.c", "code=c&code=d&state=a.b", "code=c&error=e&state=a.b",
     "code=&state=a.b", "code=" + "c" * 4097 + "&state=a.b"],
)  # fmt: skip
async def test_half_or_doubled_callback_is_refused(flow: Consent, query: str) -> None:
    await flow.consent()
    assert (await flow.browser.get(f"/v1/oauth/callback/tracker?{query}")).status_code in (400, 409)
    assert (await flow.callback()).status_code == 200


async def test_denied_consent_is_told_and_ends_the_attempt(flow: Consent, redis: Redis) -> None:
    returned = await flow.consent()
    flow.returned = {"state": returned["state"], "error": "access_denied"}
    page = await flow.callback()
    assert message(page) == {"source": "sluice", "attemptId": flow.attempt, "error": "denied"}
    stands = await flow.stands()
    assert (stands["state"], stands["code"], stands["integration"]) == ("denied", "oauth_denied", None)
    assert page_code(await flow.callback()) == (409, "oauth_state_unknown")
    assert await keys(redis) == []
    assert flow.provider.exchanged == []


async def test_denied_on_the_application_page_is_409_and_ends_the_attempt(flow: Consent, redis: Redis) -> None:
    returned = await flow.consent(callback="application")
    done = await flow.complete(error="access_denied", state=returned["state"])
    assert refusal(done) == (409, "oauth_denied", None)
    assert (await flow.stands())["state"] == "denied"
    assert await keys(redis) == []


async def test_other_answer_of_the_consent_page_fails_with_its_name(flow: Consent) -> None:
    returned = await flow.consent()
    flow.returned = {"state": returned["state"], "error": "application_suspended"}
    assert message(await flow.callback())["error"] == "failed"
    stands = await flow.stands()
    assert (stands["state"], stands["code"]) == ("failed", "oauth_consent_failed")
    assert "application_suspended" in stands["detail"]


@pytest.mark.parametrize("step", ["start", "park"])
async def test_redis_that_lost_everything_is_told(flow: Consent, redis: Redis, step: str) -> None:
    handle = await flow.handle() if step == "park" else ""
    if step == "start":
        await flow.consent()
    await redis.flushall()
    if step == "park":
        done = await flow.complete(attemptId=flow.attempt, handle=handle)
        assert refusal(done) == (409, "oauth_state_lost", None)
    else:
        assert page_code(await flow.callback()) == (409, "oauth_state_lost")
    stands = await flow.stands()
    assert (stands["state"], stands["code"]) == ("failed", "oauth_state_lost")
    assert flow.provider.exchanged == []


async def test_lost_state_of_the_application_page_is_told(flow: Consent, redis: Redis) -> None:
    returned = await flow.consent(callback="application")
    await redis.flushall()
    for _ in range(2):
        assert refusal(await flow.complete(**returned)) == (409, "oauth_state_lost", None)
    assert (await flow.stands())["code"] == "oauth_state_lost"


async def test_reader_of_an_attempt_learns_of_the_loss_by_itself(flow: Consent, redis: Redis) -> None:
    await flow.begin()
    await redis.flushall()
    assert (await flow.stands())["state"] == "pending"
    await flow.start()
    await redis.flushall()
    assert (await flow.stands())["code"] == "oauth_state_lost"


ANSWERS: dict[str, tuple[Any, tuple[int, str]]] = {
    "refused with 200": (AuthRevoked("the double refused: bad_verification_code"), (409, "oauth_refused")),
    "not the documented shape": (ProviderContractBroken("not JSON"), (502, "provider_contract_broken")),
    "away": (ProviderUnavailable("away"), (503, "provider_unavailable")),
    "fewer scopes": (token_answer(scopes=("read",)), (409, "oauth_scopes_missing")),
    "no scopes": (token_answer(scopes=()), (409, "oauth_scopes_missing")),
    "dead token": (token_answer("tok-nobody-knows"), (409, "oauth_refused")),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_bad_answer_of_the_provider_stores_nothing(flow: Consent, name: str, admin: Admin, redis: Redis) -> None:
    flow.provider.gives, expected = ANSWERS[name]
    handle = await flow.handle()
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (*expected, None)
    stands = await flow.stands()
    assert (stands["state"], stands["code"]) == ("failed", expected[1])
    assert name != "dead token" or "connect again" in stands["detail"]
    assert refusal(await flow.complete(attemptId=flow.attempt, handle=handle))[:2] == (409, "oauth_state_unknown")
    assert await nothing_connected(flow)
    assert await admin.fetchval("SELECT count(*) FROM credential WHERE workspace_id = $1", flow.workspace) == 0
    assert await events(admin, flow.workspace) == []
    assert await keys(redis) == []
    assert len(flow.provider.exchanged) == 1


async def test_account_that_cannot_be_seen_stores_nothing(flow: Consent, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hidden(http: object) -> None:
        raise LostSight("the double answers 403")

    handle = await flow.handle()
    monkeypatch.setattr(flow.provider, "check", hidden)
    done = await flow.complete(attemptId=flow.attempt, handle=handle)
    assert refusal(done) == (409, "oauth_refused", None)
    assert await nothing_connected(flow)


class TestClock:
    """With a clock that the test moves."""

    @pytest.fixture
    def clock(self) -> Clock:
        return FixedClock(SystemClock().now())

    @pytest.fixture
    def later(self, clock: FixedClock) -> Callable[[int], None]:
        return lambda seconds: clock.move(timedelta(seconds=seconds))

    async def test_consent_that_took_too_long_is_expired(
        self, flow: Consent, later: Callable[[int], None], redis: Redis
    ) -> None:
        await flow.consent()
        later(600)
        assert page_code(await flow.callback()) == (409, "oauth_attempt_expired")
        stands = await flow.stands()
        assert (stands["state"], stands["code"]) == ("expired", "oauth_attempt_expired")
        assert await keys(redis) == []
        assert page_code(await flow.start()) == (409, "oauth_attempt_expired")

    async def test_popup_that_was_never_opened_is_expired(self, flow: Consent, later: Callable[[int], None]) -> None:
        await flow.begin()
        later(599)
        assert (await flow.stands())["state"] == "pending"
        later(1)
        assert (await flow.stands())["state"] == "expired"
        assert page_code(await flow.start()) == (409, "oauth_attempt_expired")

    async def test_parked_code_is_good_for_two_minutes(self, flow: Consent, later: Callable[[int], None]) -> None:
        handle = await flow.handle()
        later(120)
        done = await flow.complete(attemptId=flow.attempt, handle=handle)
        assert refusal(done) == (409, "oauth_attempt_expired", None)
        assert flow.provider.exchanged == []

    async def test_code_on_the_application_page_expires_too(self, flow: Consent, later: Callable[[int], None]) -> None:
        returned = await flow.consent(callback="application")
        later(601)
        assert refusal(await flow.complete(**returned)) == (409, "oauth_attempt_expired", None)
        assert flow.provider.exchanged == []

    async def test_completion_that_died_half_way_is_told(
        self, flow: Consent, later: Callable[[int], None], admin: Admin
    ) -> None:
        await flow.handle()
        await admin.execute("UPDATE oauth_attempt SET claimed_at = created_at WHERE id = $1", flow.attempt)
        later(119)
        assert (await flow.stands())["state"] == "pending"
        later(1)
        stands = await flow.stands()
        assert (stands["state"], stands["code"]) == ("failed", "oauth_interrupted")


async def test_key_of_a_short_life_is_gone_by_itself_and_told_as_expired(
    flow: Consent, deps: Deps, redis: Redis, admin: Admin
) -> None:
    await flow.begin()
    await admin.execute("UPDATE oauth_attempt SET expires_at = now() + interval '1 second' WHERE id = $1", flow.attempt)
    await flow.start()

    async def gone() -> bool:
        return await keys(redis) == [] and (await flow.stands())["state"] != "pending"

    await eventually(gone, timeout=30)
    assert (await flow.stands())["code"] == "oauth_attempt_expired"


async def test_redis_away_is_503_everywhere_and_burns_nothing(flow: Consent, deps: Deps) -> None:
    handle = await flow.handle()
    lame = replace(deps, states=States("redis://127.0.0.1:1"))
    transport = httpx.ASGITransport(app=create_app(lame, create_operations(lame)))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth", headers=flow.api.headers) as api:
        away = replace(flow, api=api, browser=api)
        done = await away.complete(attemptId=flow.attempt, handle=handle)
        assert refusal(done) == (503, "dependency_down", None)
        assert refusal(await api.get(f"/v1/oauth/attempts/{flow.attempt}"))[:2] == (503, "dependency_down")
        await away.begin()
        assert page_code(await away.start()) == (503, "dependency_down")
        ready = await api.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)  # tokens are lent without Redis
        assert (ready.json()["checks"]["redis"], ready.json()["checks"]["postgres"]) == (False, True)
    await lame.states.close()
    assert (await flow.complete(attemptId=flow.attempt, handle=handle)).status_code == 200


class TestNotRegistered:
    """The operator has registered Sluice nowhere yet."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"TRACKER_CLIENT_ID": "id", "TRACKER_CLIENT_SECRET": ""}

    async def test_missing_variable_is_named(self, flow: Consent) -> None:
        response = await flow.begin()
        assert refusal(response) == (409, "provider_not_configured", "/provider")
        assert "TRACKER_CLIENT_SECRET" in response.json()["detail"]
        assert "TRACKER_CLIENT_ID" not in response.json()["detail"]
