"""The played GitHub lets applications in as the documents say: consent, codes, tokens, and giving them back."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser

from libs.providers.github.tests.sandbox.driven import REPO, Driven

BACK = "http://localhost:5173/auth-callback?provider=GitHub"
VERIFIER = "ks02i3jdikdo2k0dkfodf3m39rjfjsdk0wk349rj3jrhf"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
JSON = {"accept": "application/json"}


def query_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


class Browser:
    """Opens the consent page and presses one of its buttons."""

    def __init__(self, hub: Driven, app: dict[str, str]) -> None:
        self.hub, self.app = hub, app

    async def open(self, **changes: str) -> httpx.Response:
        asked = {
            "client_id": self.app["clientId"], "redirect_uri": BACK, "scope": "repo read:user", "state": "st4te",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        query = urlencode({name: value for name, value in {**asked, **changes}.items() if value})
        return await self.hub.client.get(f"/github/login/oauth/authorize?{query}")

    async def press(self, page: httpx.Response, decision: str = "authorize") -> httpx.Response:
        form = LexborHTMLParser(page.text).css_first("form")
        assert form is not None, page.text
        fields = {field.attributes["name"] or "": field.attributes["value"] or "" for field in form.css("input")}
        return await self.hub.client.post(form.attributes["action"] or "", data={**fields, "decision": decision})

    async def code(self, **changes: str) -> str:
        return query_of(await self.press(await self.open(**changes)))["code"]

    async def exchange(self, code: str, **changes: str) -> dict[str, Any]:
        form = {
            "client_id": self.app["clientId"], "client_secret": self.app["clientSecret"], "code": code,
            "redirect_uri": BACK, "code_verifier": VERIFIER, **changes,
        }  # fmt: skip
        answer = await self.hub.client.post("/github/login/oauth/access_token", data=form, headers=JSON)
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told

    async def token(self, **changes: str) -> str:
        return str((await self.exchange(await self.code(**changes)))["access_token"])

    async def own(self, method: str, what: str, token: str | None) -> httpx.Response:
        basic = base64.b64encode(f"{self.app['clientId']}:{self.app['clientSecret']}".encode()).decode()
        return await self.hub.client.request(
            method, f"/github/api/applications/{self.app['clientId']}/{what}",
            headers={"authorization": f"Basic {basic}"}, json={"access_token": token} if token else {},
        )  # fmt: skip

    async def alive(self, token: str) -> bool:
        return (await self.hub.get("/user", authorization=f"Bearer {token}")).status_code == 200


@pytest.fixture
async def browser(hub: Driven) -> Browser:
    return Browser(hub, await hub.control("GET", "app"))


async def test_consent_page_names_application_account_and_scopes_and_keeps_nothing_in_the_page(
    browser: Browser,
) -> None:
    page = await browser.open()
    assert page.status_code == 200
    for shown in ("Authorize Sluice", "sandbox-generator", "repo", "Full control of private repositories", "read:user"):
        assert shown in page.text
    for hidden in ("st4te", CHALLENGE, browser.app["clientSecret"], "auth-callback"):
        assert hidden not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers


async def test_authorized_code_is_exchanged_once_for_a_token_that_opens_the_repository(browser: Browser) -> None:
    back = await browser.press(await browser.open())
    assert back.headers["location"].startswith(f"{BACK}&code=")
    assert query_of(back)["state"] == "st4te"
    told = await browser.exchange(query_of(back)["code"])
    assert told["token_type"] == "bearer"
    assert told["scope"] == "repo,read:user"
    opened = await browser.hub.get(REPO, authorization=f"Bearer {told['access_token']}")
    assert (opened.status_code, opened.headers["x-oauth-scopes"]) == (200, "repo, read:user")
    again = await browser.exchange(query_of(back)["code"])
    assert again["error"] == "bad_verification_code"
    assert again["error_uri"].endswith("#bad-verification-code")
    assert (await browser.hub.control("GET", "token-requests"))["total"] == 2


async def test_secrets_of_a_token_request_are_told_only_by_a_switch(browser: Browser) -> None:
    await browser.token()
    await browser.hub.control("POST", "settings", keepSecrets=True)
    code = await browser.code()
    token = (await browser.exchange(code))["access_token"]
    told = (await browser.hub.control("GET", "token-requests"))["items"]
    assert "secrets" not in told[0]
    assert told[1]["secrets"] == {
        "client_secret": browser.app["clientSecret"], "code": code, "code_verifier": VERIFIER, "access_token": token,
    }  # fmt: skip


async def test_answer_is_a_form_unless_json_is_asked_for(browser: Browser) -> None:
    form = {
        "client_id": browser.app["clientId"], "client_secret": browser.app["clientSecret"],
        "code": await browser.code(), "redirect_uri": BACK, "code_verifier": VERIFIER,
    }  # fmt: skip
    answer = await browser.hub.client.post("/github/login/oauth/access_token", data=form)
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert "scope=repo%2Cread%3Auser&token_type=bearer" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "incorrect_client_credentials"),
        ({"client_id": "nobody"}, "incorrect_client_credentials"),
        ({"code": "0" * 20}, "bad_verification_code"),
        ({"redirect_uri": BACK.replace("?provider=GitHub", "")}, "redirect_uri_mismatch"),
        ({"redirect_uri": ""}, "redirect_uri_mismatch"),
        ({"code_verifier": VERIFIER[::-1]}, "bad_verification_code"),
        ({"code_verifier": ""}, "bad_verification_code"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ],
)  # fmt: skip
async def test_wrong_exchange_is_refused_with_status_200(browser: Browser, changes: dict[str, str], error: str) -> None:
    told = await browser.exchange(**{"code": await browser.code(), **changes})
    assert told["error"] == error
    assert "access_token" not in told
    assert [it["outcome"] for it in (await browser.hub.control("GET", "token-requests"))["items"]] == [error]


@pytest.mark.parametrize("burnt", [True, False])
async def test_refused_code_is_burnt_by_a_switch(browser: Browser, burnt: bool) -> None:
    await browser.hub.control("POST", "settings", burnRefusedCodes=burnt)
    code = await browser.code()
    assert (await browser.exchange(code, code_verifier="no"))["error"] == "bad_verification_code"
    assert ("access_token" in await browser.exchange(code)) is not burnt


async def test_unverified_address_and_expired_codes_are_refused(browser: Browser) -> None:
    code = await browser.code()
    assert await browser.hub.control("POST", "expire-codes") == {"expired": 1}
    assert (await browser.exchange(code))["error"] == "bad_verification_code"
    await browser.hub.control("POST", "settings", verifiedEmail=False)
    assert (await browser.exchange(await browser.code()))["error"] == "unverified_user_email"


async def test_code_older_than_its_time_is_refused(browser: Browser) -> None:
    await browser.hub.control("POST", "settings", codeSeconds=-1)
    page = await browser.open()
    assert (await browser.press(page)).status_code == 422
    assert (await browser.hub.control("GET", "consent"))["authorized"] == 0


async def test_page_is_good_for_one_post(browser: Browser) -> None:
    page = await browser.open()
    assert (await browser.press(page, "cancel")).status_code == 302
    assert (await browser.press(page)).status_code == 422
    assert (await browser.hub.client.post("/github/login/oauth/authorize", data={})).status_code == 422


@pytest.mark.parametrize("decided", ["by the person", "by the driver"])
async def test_denied_consent_comes_back_as_an_error_without_a_code(browser: Browser, decided: str) -> None:
    page = await browser.open()
    if decided == "by the driver":
        await browser.hub.control("POST", "consent", deny=True)
    query = query_of(await browser.press(page, "cancel" if decided == "by the person" else "authorize"))
    assert (query["error"], query["state"], query["provider"]) == ("access_denied", "st4te", "GitHub")
    assert "code" not in query
    assert "code" in query_of(await browser.press(await browser.open()))


async def test_driver_grants_fewer_scopes_once_and_chooses_the_account(browser: Browser) -> None:
    await browser.hub.control("POST", "consent", account="second-account", scopes=["read:user"])
    page = await browser.open()
    assert "second-account" in page.text
    token = await browser.exchange(query_of(await browser.press(page))["code"])
    assert token["scope"] == "read:user"
    user = (await browser.hub.get("/user", authorization=f"Bearer {token['access_token']}")).json()
    assert user["login"] == "second-account"
    assert user["id"] != (await browser.hub.json("/user"))["id"]
    assert (await browser.exchange(await browser.code()))["scope"] == "repo,read:user"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("user gist user:email", "user,gist"), ("user,gist,user:email", "user,gist"), ("read:org admin:org", "admin:org"),
     ("repo public_repo nonsense", "repo")],
)  # fmt: skip
async def test_scopes_are_normalised(browser: Browser, asked: str, granted: str) -> None:
    assert (await browser.exchange(await browser.code(scope=asked)))["scope"] == granted


async def test_left_out_scope_asks_for_what_was_ever_granted(browser: Browser) -> None:
    assert (await browser.exchange(await browser.code(scope="")))["scope"] == ""
    await browser.token(scope="gist")
    assert (await browser.exchange(await browser.code(scope="")))["scope"] == "gist"


async def test_remembered_consent_skips_the_page(browser: Browser) -> None:
    await browser.hub.control("POST", "settings", rememberConsent=True)
    await browser.token(scope="user")
    assert "code" in query_of(await browser.open(scope="read:user"))
    assert (await browser.open(scope="repo")).status_code == 200


REGISTERED = "http://localhost:5173/auth-callback"


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        (BACK, True), ("", True), (f"{REGISTERED}/deeper", True),
        ("http://localhost:5174/auth-callback", False), (f"{REGISTERED}/../elsewhere", False),
        ("http://localhost:5173/auth-callbacks", False), ("http://localhost:5173@127.0.0.1/auth-callback", False),
    ],
)  # fmt: skip
async def test_redirect_uri_must_lie_below_the_registered_one(browser: Browser, given: str, accepted: bool) -> None:
    await browser.hub.control("POST", "settings", callbackUrls=[REGISTERED])
    page = await browser.open(redirect_uri=given)
    assert (page.status_code == 200) is accepted
    if not accepted:
        assert page.headers["location"].startswith(f"{REGISTERED}?error=redirect_uri_mismatch")
        assert query_of(page)["state"] == "st4te"


async def test_page_opens_for_known_applications_loopback_and_s256_only(browser: Browser) -> None:
    assert (await browser.open(client_id="nobody")).status_code == 404
    assert (await browser.open(redirect_uri="https://elsewhere.example/back")).status_code == 422
    assert query_of(await browser.open(code_challenge_method="plain"))["error"] == "invalid_request"


async def test_eleventh_token_kills_the_oldest_of_the_same_scopes(browser: Browser) -> None:
    other = await browser.token(scope="gist")
    tokens = [await browser.token() for _ in range(11)]
    assert [await browser.alive(token) for token in tokens] == [False] + [True] * 10
    assert await browser.alive(other)


async def test_application_checks_and_revokes_one_token(browser: Browser) -> None:
    first, second = await browser.token(), await browser.token()
    checked = await browser.own("POST", "token", first)
    assert (checked.status_code, checked.json()["user"]["login"]) == (200, "sandbox-generator")
    assert (await browser.own("DELETE", "token", first)).status_code == 204
    assert [await browser.alive(token) for token in (first, second)] == [False, True]
    assert (await browser.own("POST", "token", first)).status_code == 404
    assert (await browser.own("DELETE", "token", "ghp_sandbox")).status_code == 404
    assert (await browser.own("POST", "token", None)).status_code == 422


async def test_application_revokes_the_whole_grant_of_one_person(browser: Browser) -> None:
    mine = [await browser.token(), await browser.token(scope="gist")]
    await browser.hub.control("POST", "consent", account="second-account")
    theirs = await browser.token()
    assert (await browser.own("DELETE", "grant", mine[0])).status_code == 204
    assert [await browser.alive(token) for token in (*mine, theirs)] == [False, False, True]


async def test_application_with_a_wrong_secret_is_refused(browser: Browser) -> None:
    token = await browser.token()
    browser.app = {**browser.app, "clientSecret": "wrong"}
    assert (await browser.own("DELETE", "token", token)).status_code == 401
    assert await browser.alive(token)
