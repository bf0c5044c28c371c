"""GitHub's grants against its documented answers, token requests and checks."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from libs.common.errors import AuthRevoked, ProviderContractBroken
from libs.common.provider.auth import ClientRegistration
from libs.providers.github.auth import FACET
from libs.providers.github.tests.scripted import Scripted

GRANTED = {"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "scope": "repo,gist", "token_type": "bearer"}
PAGE = "http://localhost:5173/auth-callback?provider=GitHub"


def registration() -> ClientRegistration:
    return ClientRegistration(
        client_id="Iv1.one", client_secret="s3cret", redirect_uri=PAGE, base_url="https://github.com",
        api_url="https://api.github.com",
    )  # fmt: skip


async def exchanged(*answers: Any) -> Any:
    return await FACET.exchange(Scripted(*answers), registration(), code="c", code_verifier="v" * 43)


def test_authorize_request_names_scopes_by_spaces_and_proves_with_s256() -> None:
    url = FACET.authorize_url(registration(), state="s", scopes=("repo", "read:user"), code_challenge="ch")
    query = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith("https://github.com/login/oauth/authorize?")
    assert (query["scope"], query["redirect_uri"], query["state"]) == ("repo read:user", PAGE, "s")
    assert (query["code_challenge"], query["code_challenge_method"]) == ("ch", "S256")


async def test_token_request_asks_for_json_and_tells_page_and_verifier() -> None:
    http = Scripted((200, GRANTED))
    answer = await FACET.exchange(http, registration(), code="c", code_verifier="v" * 43)
    [asked] = http.asked
    form = dict(parse_qsl(asked["body"].decode()))
    assert (asked["method"], asked["url"]) == ("POST", "https://github.com/login/oauth/access_token")
    assert asked["headers"]["accept"] == "application/json"
    assert (
        form.items() >= {"code": "c", "redirect_uri": PAGE, "code_verifier": "v" * 43, "client_id": "Iv1.one"}.items()
    )
    assert answer.scopes == ("repo", "gist")


@pytest.mark.parametrize(
    "code",
    [
        "incorrect_client_credentials", "redirect_uri_mismatch", "bad_verification_code", "unverified_user_email",
        "bad_refresh_token",
    ],
)  # fmt: skip
async def test_refusal_that_comes_with_status_200_is_typed(code: str) -> None:
    refusal = {"error": code, "error_description": "words", "error_uri": "https://docs.github.com"}
    with pytest.raises(AuthRevoked, match=code):
        await exchanged((200, refusal))


async def test_error_that_nobody_documented_is_a_broken_contract() -> None:
    with pytest.raises(ProviderContractBroken):
        await exchanged((200, {"error": "something_new"}))


async def test_token_without_lifetime_or_refresh_has_neither() -> None:
    answer = await exchanged((200, GRANTED))
    assert (answer.expires_at, answer.refresh_token) == (None, None)


async def test_token_of_any_length_and_prefix_is_taken() -> None:
    token = "ghs_1234_" + "e" * 900
    assert (await exchanged((200, {**GRANTED, "access_token": token}))).access_token == token
    FACET.validate_token(token)


async def test_refresh_sends_the_refresh_token_and_takes_both_new_ones() -> None:
    told = {**GRANTED, "scope": "", "refresh_token": "ghr_new", "expires_in": 28800}
    http = Scripted((200, told))
    answer = await FACET.refresh(http, registration(), refresh_token="ghr_old")
    form = dict(parse_qsl(http.asked[0]["body"].decode()))
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "ghr_old")
    assert (answer.refresh_token, answer.scopes) == ("ghr_new", ())
    assert answer.expires_at is not None


async def test_check_tells_the_stable_id_and_the_scopes_of_the_header() -> None:
    account = await FACET.check(Scripted((200, {"login": "octo", "id": 583231}, {"x-oauth-scopes": "repo, read:user"})))
    assert (account.account_id, account.account_name, account.scopes) == ("583231", "octo", ("repo", "read:user"))


async def test_refused_token_is_revoked() -> None:
    with pytest.raises(AuthRevoked):
        await FACET.check(Scripted((401, {"message": "Bad credentials"})))


@pytest.mark.parametrize("status", [204, 404, 422])
async def test_one_token_is_revoked_by_the_application_and_a_dead_one_is_too(status: int) -> None:
    http = Scripted((status, b""))
    await FACET.revoke(http, registration(), token="gho_x")
    [asked] = http.asked
    assert (asked["method"], asked["url"]) == ("DELETE", "/applications/Iv1.one/token")
    assert asked["headers"]["authorization"] == "Basic " + b64encode(b"Iv1.one:s3cret").decode()
    assert msgspec.json.decode(asked["body"]) == {"access_token": "gho_x"}
    assert asked["authorized"] is False
