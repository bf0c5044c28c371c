"""GitHub's grants: what is sent byte for byte, and what of its answers is believed (bodies after its documentation)."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from libs.common.errors import AuthRevoked, ProviderContractBroken, ProviderUnavailable, RateLimited, SluiceError
from libs.common.provider.auth import ClientRegistration, TokenAnswer
from libs.common.provider.client import Budget, HttpAnswer
from libs.providers.github.auth import FACET

PAGE = "http://localhost:5173/auth-callback?provider=GitHub"
CLIENT = ClientRegistration(
    client_id="Ov23id", client_secret="s3cret/with+signs=", redirect_uri=PAGE,
    base_url="https://github.example", api_url="https://github.example/api/v3",
)  # fmt: skip
CANARY = "gho_canary0123456789"
GOOD = {"access_token": CANARY, "scope": "repo,read:user", "token_type": "bearer"}


class Answering:
    """A grant whose provider answers one thing, and what it was asked."""

    api_url, base_url = CLIENT.api_url, CLIENT.base_url

    def __init__(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.answer_headers = headers or {}
        self.asked: list[dict[str, Any]] = []

    async def request(self, method: str, url: str, **sent: Any) -> HttpAnswer:
        self.asked.append({"method": method, "url": url, **sent})
        return HttpAnswer(status=self.status, headers=self.answer_headers, body=self.body, url=url)

    def note_budget(self, budget: Budget) -> None: ...

    def note_limit(self, until: datetime) -> None:
        """Nobody else calls with this account."""


async def exchanged(http: Answering) -> TokenAnswer:
    return await FACET.exchange(http, CLIENT, code="c0de", code_verifier="v" * 43)


def test_authorize_url_keeps_the_query_of_the_redirect_uri() -> None:
    url = FACET.authorize_url(CLIENT, state="a.b-_", scopes=("repo", "read:user"), code_challenge="ch-_")
    assert url == (
        "https://github.example/login/oauth/authorize?client_id=Ov23id"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A5173%2Fauth-callback%3Fprovider%3DGitHub"
        "&scope=repo+read%3Auser&state=a.b-_&code_challenge=ch-_&code_challenge_method=S256"
    )
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [PAGE]


async def test_token_request_sends_the_same_redirect_uri_and_asks_for_json() -> None:
    http = Answering(GOOD)
    answer = await exchanged(http)
    [asked] = http.asked
    assert (asked["method"], asked["url"]) == ("POST", "https://github.example/login/oauth/access_token")
    assert asked["headers"]["accept"] == "application/json"
    assert asked["authorized"] is False
    assert dict(parse_qsl(asked["body"].decode())) == {
        "client_id": "Ov23id", "client_secret": "s3cret/with+signs=", "code": "c0de", "redirect_uri": PAGE,
        "code_verifier": "v" * 43,
    }  # fmt: skip
    assert (answer.access_token, answer.scopes) == (CANARY, ("repo", "read:user"))
    assert (answer.refresh_token, answer.expires_at) == (None, None)


async def test_expiring_token_keeps_its_end_and_its_refresh_token() -> None:
    before = datetime.now(UTC)
    answer = await exchanged(Answering({**GOOD, "expires_in": 28_800, "refresh_token": "ghr_0123"}))
    assert answer.refresh_token == "ghr_0123"
    assert answer.expires_at is not None
    assert timedelta(seconds=28_790) < answer.expires_at - before < timedelta(seconds=28_810)


@pytest.mark.parametrize(
    "code",
    ["bad_verification_code", "incorrect_client_credentials", "redirect_uri_mismatch", "unverified_user_email"],
)
async def test_error_that_comes_with_200_is_a_refusal(code: str) -> None:
    body = {"error": code, "error_description": "The code passed is incorrect.", "error_uri": "https://docs.example"}
    with pytest.raises(AuthRevoked, match=code):
        await exchanged(Answering(body))


BROKEN: dict[str, tuple[Any, int]] = {
    "unknown error": ({"error": CANARY, **GOOD}, 200),
    "error beside a token": ({**GOOD, "error": "new_kind_of_error"}, 200),
    "html": (b"<!doctype html><title>Unicorn</title>", 200),
    "form instead of json": (f"access_token={CANARY}&scope=repo&token_type=bearer".encode(), 200),
    "empty": (b"", 200),
    "a list": ([GOOD], 200),
    "no token": ({"scope": "repo", "token_type": "bearer"}, 200),
    "empty token": ({**GOOD, "access_token": ""}, 200),
    "token of another type": ({**GOOD, "access_token": 7}, 200),
    "token with a line break": ({**GOOD, "access_token": "gho_a\r\nx: y"}, 200),
    "token of another scheme": ({**GOOD, "token_type": "mac"}, 200),
    "no scope": ({"access_token": CANARY, "token_type": "bearer"}, 200),
    "scope of another type": ({**GOOD, "scope": ["repo"]}, 200),
    "negative expires_in": ({**GOOD, "expires_in": -1}, 200),
    "zero expires_in": ({**GOOD, "expires_in": 0}, 200),
    "text expires_in": ({**GOOD, "expires_in": "28800"}, 200),
    "fraction expires_in": ({**GOOD, "expires_in": 1.5}, 200),
    "endless expires_in": ({**GOOD, "expires_in": 10**18}, 200),
    "impossible refresh token": ({**GOOD, "refresh_token": "a b"}, 200),
    "token with a failure's status": (GOOD, 404),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_answer_that_does_not_fit_is_no_grant_and_is_not_quoted(name: str) -> None:
    body, status = BROKEN[name]
    with pytest.raises(ProviderContractBroken) as caught:
        await exchanged(Answering(body, status))
    assert CANARY not in caught.value.detail


@pytest.mark.parametrize(
    ("status", "expected"), [(500, ProviderUnavailable), (503, ProviderUnavailable), (429, RateLimited)]
)
async def test_passing_failure_is_told_as_one(status: int, expected: type[SluiceError]) -> None:
    with pytest.raises(expected):
        await exchanged(Answering(b"{}", status))


@pytest.mark.parametrize("status", [204, 404, 422])
async def test_revocation_is_by_the_client_itself(status: int) -> None:
    http = Answering(b"", status)
    await FACET.revoke(http, CLIENT, token=CANARY)
    [asked] = http.asked
    assert (asked["method"], asked["url"]) == ("DELETE", "/applications/Ov23id/token")
    assert b64decode(asked["headers"]["authorization"].removeprefix("Basic ")) == b"Ov23id:s3cret/with+signs="
    assert json.loads(asked["body"]) == {"access_token": CANARY}
    assert asked["authorized"] is False


async def test_revocation_that_did_not_happen_is_told() -> None:
    with pytest.raises(ProviderUnavailable):
        await FACET.revoke(Answering(b"", 401), CLIENT, token=CANARY)


async def test_refresh_sends_the_token_once_and_reads_the_same_answer() -> None:
    http = Answering({**GOOD, "expires_in": 28_800, "refresh_token": "ghr_next"})
    assert (await FACET.refresh(http, CLIENT, refresh_token="ghr_old")).refresh_token == "ghr_next"
    sent = dict(parse_qsl(http.asked[0]["body"].decode()))
    assert (sent["grant_type"], sent["refresh_token"]) == ("refresh_token", "ghr_old")


async def test_account_is_told_by_its_number_and_what_it_may() -> None:
    http = Answering({"id": 583231, "login": "octocat"}, headers={"x-oauth-scopes": "repo, read:user"})
    found = await FACET.check(http)
    assert (found.account_id, found.account_name, found.scopes) == ("583231", "octocat", ("repo", "read:user"))


async def test_dead_token_is_revoked() -> None:
    with pytest.raises(AuthRevoked):
        await FACET.check(Answering({"message": "Bad credentials"}, 401))
