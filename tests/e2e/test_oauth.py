"""Every way a consent goes wrong, through the front door: a typed refusal, an ended attempt, nothing connected."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from redis.asyncio import Redis

from libs.local.demo.consenting import ORIGIN, OWN_PAGE
from libs.local.demo.popup import posted
from libs.local.demo.visitor import Visitor
from libs.local.endpoints import read_credentials
from libs.local.environment import Addresses, service_environment
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from libs.local.processes import ProcessSpec
from libs.local.state import State
from tests.e2e.conftest import MANY, Line
from tests.e2e.test_bad_input import problem
from tests.support.running import Running

SUBJECT = "person-1"


@dataclass
class Flow:
    """One attempt in a workspace of its own, step by step."""

    line: Line
    workspace: str
    asked: int

    def begin(self, **changes: Any) -> httpx.Response:
        body = {
            "provider": "github", "features": ["repositories"], "resources": ["sluice/sluice"], "subject": SUBJECT,
            "redirectUrl": f"{ORIGIN}/integrations", "callback": "application", **changes,
        }  # fmt: skip
        return self.line.raw("POST", f"/v1/workspaces/{self.workspace}/connect", json=body)

    def consented(self, decision: str = "authorize") -> tuple[str, dict[str, str]]:
        """(attempt, what the application's own page was sent)."""
        return came_back(self.begin().json(), decision)

    def complete(self, returned: dict[str, str], subject: str = SUBJECT) -> httpx.Response:
        return self.line.raw("POST", "/v1/oauth/complete", json={**returned, "subject": subject})

    def state(self, attempt: str) -> tuple[str, str | None]:
        told = self.line.door.get(f"/v1/oauth/attempts/{attempt}", {"subject": SUBJECT})
        return told["state"], told["code"]

    def token_requests(self) -> int:
        return int(self.line.control.ask("GET", "token-requests")["total"]) - self.asked

    def integrations(self) -> list[dict[str, Any]]:
        return list(self.line.door.get(f"/v1/workspaces/{self.workspace}/integrations")["items"])


def came_back(attempt: dict[str, Any], decision: str = "authorize") -> tuple[str, dict[str, str]]:
    with Visitor() as visitor:
        back = visitor.consent(attempt["authorizationUrl"], decision=decision, back=OWN_PAGE).headers["location"]
    query = dict(parse_qsl(urlsplit(back).query))
    return attempt["attemptId"], {name: query[name] for name in ("code", "error", "state") if name in query}


@pytest.fixture
def flow(line: Line) -> Flow:
    name = f"oauth-{line.word()}"
    line.door.put(f"/v1/workspaces/{name}")
    return Flow(line, name, int(line.control.ask("GET", "token-requests")["total"]))


async def keys_in_redis(line: Line) -> list[tuple[str, int]]:
    """Every open state with the seconds it has left."""
    async with Redis.from_url(read_credentials(State.at(line.root)).redis) as redis:
        return [(key.decode(), await redis.ttl(key)) async for key in redis.scan_iter("integrationState:*")]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/back", "http://localhost:5173.evil.example/", "http://localhost:5173@evil.example/",
        "//localhost:5173/", "/integrations", "javascript:alert(1)", "http://LOCALHOST:5173\\@evil.example", "",
        "http://localhost:51730/", "https://localhost:5173/",
    ],
)  # fmt: skip
def test_redirect_url_that_is_not_allow_listed_is_refused(flow: Flow, url: str) -> None:
    problem(flow.begin(redirectUrl=url), 422, "redirect_not_allowed", "/redirectUrl")


@pytest.mark.parametrize(
    ("changes", "status", "code", "pointer"),
    [
        ({"provider": "nowhere"}, 404, "not_found", "/provider"),
        ({"features": ["wiki"]}, 422, "invalid_input", "/features/0"),
        ({"config": {"branch": "main"}}, 422, "invalid_input", "/config/branch"),
        ({"callback": "elsewhere"}, 422, "invalid_input", "/callback"),
    ],
)  # fmt: skip
def test_connect_says_which_field_is_wrong_before_anybody_consents(
    flow: Flow, changes: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    problem(flow.begin(**changes), status, code, pointer)


async def test_flow_leaves_no_key_and_one_token_request_however_often_it_is_completed(flow: Flow) -> None:
    before = {key for key, _ in await keys_in_redis(flow.line)}
    attempt, returned = flow.consented()
    opened = [(key, seconds) for key, seconds in await keys_in_redis(flow.line) if key not in before]
    assert len(opened) == 1
    assert 1 <= opened[0][1] <= 600
    assert returned["state"] not in opened[0][0]
    assert flow.complete(returned).status_code == 200
    problem(flow.complete(returned), 409, "oauth_state_unknown")
    assert flow.state(attempt) == ("connected", None)
    assert flow.token_requests() == 1
    assert len(flow.integrations()) == 1
    assert {key for key, _ in await keys_in_redis(flow.line)} <= before


def test_state_of_somebody_else_looks_absent_and_is_not_used_up(flow: Flow) -> None:
    attempt, returned = flow.consented()
    problem(flow.complete(returned, subject="person-2"), 404, "not_found")
    assert flow.line.raw("GET", f"/v1/oauth/attempts/{attempt}?subject=person-2").status_code == 404
    assert flow.token_requests() == 0
    assert flow.complete(returned).status_code == 200


@pytest.mark.parametrize("state", ["nonsense", "", "x" * 5000, f"{'0' * 8}.{'a' * 43}"])
def test_state_that_nobody_made_is_refused(flow: Flow, state: str) -> None:
    answer = flow.complete({"code": "0" * 20, "state": state})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) in (
        (404, "not_found"), (409, "oauth_state_unknown"), (422, "invalid_input"),
    )  # fmt: skip
    assert flow.token_requests() == 0


def test_refused_consent_ends_as_denied(flow: Flow) -> None:
    attempt, returned = flow.consented("cancel")
    assert set(returned) == {"error", "state"}
    problem(flow.complete(returned), 409, "oauth_denied")
    assert flow.state(attempt) == ("denied", "oauth_denied")
    assert flow.token_requests() == 0


@pytest.mark.parametrize("switched", [{"verifiedEmail": False}, None])
def test_provider_that_answers_200_with_an_error_ends_as_failed(flow: Flow, switched: dict[str, bool] | None) -> None:
    attempt, returned = flow.consented()
    flow.line.control.ask("POST", "settings", switched or {})
    if switched is None:
        flow.line.control.ask("POST", "expire-codes")
    try:
        told = problem(flow.complete(returned), 409, "oauth_refused")
    finally:
        flow.line.control.ask("POST", "settings", {"verifiedEmail": True})
    assert ("unverified_user_email" if switched else "bad_verification_code") in told["detail"]
    assert flow.state(attempt) == ("failed", "oauth_refused")
    assert (flow.token_requests(), flow.integrations()) == (1, [])


def test_provider_that_is_away_ends_as_failed_after_one_token_request(flow: Flow) -> None:
    attempt, returned = flow.consented()
    since = flow.line.control.last_request()
    flow.line.control.ask("POST", "faults", {"match": "access_token", "kind": "status", "status": 502, "times": 0})
    try:
        problem(flow.complete(returned), 503, "provider_unavailable")
    finally:
        flow.line.control.ask("DELETE", "faults")
    assert flow.state(attempt)[0] == "failed"
    assert flow.line.control.requests(since, "access_token")["counts"]["total"] == 1


def test_fewer_scopes_than_needed_are_refused_by_name(flow: Flow) -> None:
    flow.line.control.ask("POST", "consent", {"scopes": ["read:user"]})
    attempt, returned = flow.consented()
    since = flow.line.control.last_request()
    told = problem(flow.complete(returned), 409, "oauth_scopes_missing")
    assert "repo" in told["detail"]
    assert flow.state(attempt) == ("failed", "oauth_scopes_missing")
    ended = [one for one in flow.line.control.requests(since, "applications/")["items"] if one["method"] == "DELETE"]
    assert [one["status"] for one in ended] == [204]


async def test_consent_that_took_too_long_ends_as_expired(flow: Flow) -> None:
    attempt, returned = flow.consented()
    await flow.line.sql("UPDATE auth.oauth_attempt SET expires_at = now() WHERE id = $1", attempt)
    problem(flow.complete(returned), 409, "oauth_attempt_expired")
    assert flow.state(attempt) == ("expired", "oauth_attempt_expired")
    assert flow.token_requests() == 0


async def test_state_that_redis_lost_is_told_never_guessed(flow: Flow) -> None:
    before = {key for key, _ in await keys_in_redis(flow.line)}
    attempt, returned = flow.consented()
    async with Redis.from_url(read_credentials(State.at(flow.line.root)).redis) as redis:
        await redis.delete(*({key for key, _ in await keys_in_redis(flow.line)} - before))
    problem(flow.complete(returned), 409, "oauth_state_lost")
    assert flow.state(attempt) == ("failed", "oauth_state_lost")


def test_link_that_was_mailed_connects_nobody(flow: Flow) -> None:
    """The attacker begins, the victim consents in a browser of their own: only the opener could hear of it."""
    attempt = flow.begin(callback="sluice").json()
    with Visitor() as victim:
        told = posted(victim.consent(attempt["authorizationUrl"]).text)
    assert told.origin == ORIGIN
    looked = flow.line.raw("GET", f"/v1/oauth/attempts/{attempt['attemptId']}?subject={SUBJECT}").text
    assert told.message["handle"] not in looked
    assert (flow.token_requests(), flow.integrations()) == (0, [])


def test_hops_of_the_browser_are_guarded_and_keep_nothing(flow: Flow) -> None:
    attempt = flow.begin(callback="sluice").json()
    with httpx.Client() as browser:
        start = browser.get(attempt["authorizationUrl"])
        assert start.status_code == 302
        cookie = start.headers["set-cookie"].lower()
        assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}
        query = dict(parse_qsl(urlsplit(start.headers["location"]).query))
        assert (query["code_challenge_method"], len(query["code_challenge"])) == ("S256", 43)
        page = Visitor(browser).consent(attempt["authorizationUrl"])
    for answer in (start, page):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert page.headers["cross-origin-opener-policy"] == "unsafe-none"
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert page.text.count("<script") == page.text.count(f'<script nonce="{nonce}">') == 1


def test_callback_in_a_browser_that_did_not_start_is_refused(flow: Flow) -> None:
    attempt = flow.begin(callback="sluice").json()
    callback = f"{flow.line.endpoints.gateway}/v1/oauth/callback/github"
    with Visitor() as visitor:
        back = visitor.consent(attempt["authorizationUrl"], back=callback).headers["location"]
    answer = httpx.get(back)
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert dict(parse_qsl(urlsplit(back).query))["code"] not in answer.text
    assert flow.state(attempt["attemptId"])[0] == "pending"


def test_reconnect_by_another_account_is_refused_and_the_grant_stays(flow: Flow) -> None:
    flow.complete(flow.consented()[1])
    mine = flow.integrations()[0]
    flow.line.control.ask("POST", "consent", {"account": "second-account"})
    try:
        body = {"redirectUrl": ORIGIN, "callback": "application", "subject": SUBJECT}
        attempt = flow.line.door.post(f"/v1/integrations/{mine['id']}/reconnect", body)
        answer = flow.complete(came_back(attempt)[1])
    finally:
        flow.line.control.ask("POST", "consent", {"account": "sandbox-generator"})
    problem(answer, 409, "other_account")
    assert flow.integrations()[0]["account"] == mine["account"]
    assert flow.line.door.post(f"/v1/integrations/{mine['id']}/check")["result"] == "passed"


@pytest.fixture
def limited(line: Line) -> Iterator[None]:
    """A person of whom the provider keeps one token an application, as GitHub keeps ten."""
    line.control.ask("POST", "consent", {"account": "many-times"})
    line.control.ask("POST", "settings", {"tokensPerGrant": 1})
    yield
    line.control.ask("POST", "settings", {"tokensPerGrant": MANY})
    line.control.ask("POST", "consent", {"account": "sandbox-generator"})


async def test_one_token_too_many_ends_the_oldest_connection_and_a_reconnect_heals_it(
    line: Line, flow: Flow, limited: None
) -> None:
    other = Flow(line, f"{flow.workspace}-too", flow.asked)
    line.door.put(f"/v1/workspaces/{other.workspace}")
    for one in (flow, other):
        assert one.complete(one.consented()[1]).status_code == 200
    first = flow.integrations()[0]["id"]
    assert line.door.post(f"/v1/integrations/{first}/check")["result"] == "failed"
    lost = line.door.get(f"/v1/integrations/{first}")
    assert (lost["status"], lost["statusReason"]) == ("error", "grant_lost")
    assert other.integrations()[0]["status"] == "active"
    body = {"redirectUrl": ORIGIN, "callback": "application", "subject": SUBJECT}
    attempt = line.door.post(f"/v1/integrations/{first}/reconnect", body)
    assert flow.complete(came_back(attempt)[1]).status_code == 200
    assert line.door.get(f"/v1/integrations/{first}")["status"] == "active"


@pytest.fixture(scope="module", params=["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"])
def lacking(line: Line, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(variable, address) of an auth whose operator has not set that variable; it serves HTTP and nothing else."""
    state, address = State.at(line.root), f"http://127.0.0.1:{free_port()}"
    places = line.endpoints
    addresses = Addresses(
        gateway=places.gateway, services={**places.services, "auth": address}, kafka=places.kafka,
        redis=read_credentials(state).redis, sandbox=places.sandbox,
    )  # fmt: skip
    env = service_environment(state, "auth", addresses, Postgres(state, urlsplit(places.postgres).port or 0))
    lone = ProcessSpec(
        name=f"auth-without-{request.param.lower()}", ready=f"{address}/readyz", cwd=line.root,
        argv=[sys.executable, "-m", "services.auth", "serve", "--only", "http"],
        env={**{name: value for name, value in env.items() if name != request.param}, "PYTHONPATH": str(line.root)},
    )  # fmt: skip
    process = Running(lone, state.logs)
    try:
        process.start()
        yield str(request.param), address
    finally:
        process.stop()


def test_missing_variable_is_named_by_the_catalogue_and_by_connect(flow: Flow, lacking: tuple[str, str]) -> None:
    variable, address = lacking
    headers = {"authorization": f"Bearer {flow.line.key}"}
    listed = httpx.get(f"{address}/v1/providers", headers=headers).json()["items"]
    github = next(one for one in listed if one["id"] == "github")
    ways = {way["kind"]: (way["configured"], way["missing"]) for way in github["connect"]}
    assert ways["oauth"] == (False, [variable])
    assert ways["token"] == (True, [])
    body = {"provider": "github", "redirectUrl": ORIGIN}
    answer = httpx.post(f"{address}/v1/workspaces/{flow.workspace}/connect", headers=headers, json=body)
    told = problem(answer, 409, "provider_not_configured", "/provider")
    assert variable in told["detail"]
