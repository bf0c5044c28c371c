"""GitHub's grants: personal tokens and OAuth Apps."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

from libs.common.errors import AuthExpired, AuthRevoked, InvalidInput, ProviderContractBroken, ProviderUnavailable
from libs.common.provider.auth import Account, AuthFacet, ClientRegistration, TokenAnswer
from libs.common.provider.client import HttpAnswer, ProviderHttp
from libs.providers.github.client import HEADERS, decode, get, limited
from libs.providers.github.payloads import User

JSON = {"accept": "application/json", "user-agent": HEADERS["user-agent"]}
FORM = {**JSON, "content-type": "application/x-www-form-urlencoded"}
TOKEN = re.compile(r"[\x21-\x7e]{4,4096}\Z")  # lengths and prefixes change without notice: no closer shape
LONGEST_LIFE = 10 * 365 * 86_400
REFUSALS = {
    "bad_verification_code",
    "bad_refresh_token",
    "incorrect_client_credentials",
    "redirect_uri_mismatch",
    "unverified_user_email",
}


class _TokenPayload(msgspec.Struct, frozen=True, kw_only=True):
    """An error comes with status 200 and the `error` key (docs: "Troubleshooting OAuth app access token requests")."""

    access_token: str = ""
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    scope: str | None = None
    refresh_token: str | None = None
    expires_in: int | None = None
    error: str = ""


class GithubAuth:
    def validate_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """There is nothing to set but what the kernel knows for everyone."""
        for name in config:
            raise InvalidInput("GitHub knows one setting here: since", pointer=f"/config/{name}")
        return {}

    def validate_token(self, token: str) -> None:
        if not TOKEN.match(token):
            raise InvalidInput("a GitHub token is printable text without spaces", pointer="/token")

    def authorize_url(
        self, registration: ClientRegistration, *, state: str, scopes: Sequence[str], code_challenge: str | None
    ) -> str:
        query = {
            "client_id": registration.client_id,
            "redirect_uri": registration.redirect_uri,
            "scope": " ".join(scopes),
            "state": state,
        }
        if code_challenge:
            query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
        return f"{registration.base_url}/login/oauth/authorize?{urlencode(query)}"

    async def exchange(
        self, http: ProviderHttp, registration: ClientRegistration, *, code: str, code_verifier: str | None
    ) -> TokenAnswer:
        form = {"code": code, "redirect_uri": registration.redirect_uri}
        if code_verifier:
            form["code_verifier"] = code_verifier
        return await _token_request(http, registration, form)

    async def refresh(self, http: ProviderHttp, registration: ClientRegistration, *, refresh_token: str) -> TokenAnswer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await _token_request(http, registration, form)

    async def revoke(self, http: ProviderHttp, registration: ClientRegistration, *, token: str) -> None:
        """Revokes this token only. 404 means it was dead already (docs: "Delete an app token")."""
        body = msgspec.json.encode({"access_token": token})
        secret = f"{registration.client_id}:{registration.client_secret}".encode()
        headers = {**HEADERS, "authorization": f"Basic {_base64(secret)}"}
        url = f"/applications/{registration.client_id}/token"
        answer = await http.request("DELETE", url, headers=headers, body=body, authorized=False)
        if answer.status not in {204, 404, 422}:
            raise ProviderUnavailable(f"GitHub answered {answer.status} to a revocation")

    async def check(self, http: ProviderHttp) -> Account:
        try:
            answer = await get(http, "/user")
        except AuthExpired as error:
            raise AuthRevoked("GitHub refused this token; make a new one") from error
        user = decode(answer, User)
        if not user.id:
            raise ProviderContractBroken("GitHub's /user has no id")
        scopes = tuple(scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        return Account(account_id=str(user.id), account_name=user.login, scopes=scopes)


async def _token_request(http: ProviderHttp, registration: ClientRegistration, form: dict[str, str]) -> TokenAnswer:
    client = {"client_id": registration.client_id, "client_secret": registration.client_secret}
    url = f"{registration.base_url}/login/oauth/access_token"
    body = urlencode({**client, **form}).encode()
    answer = await http.request("POST", url, headers=FORM, body=body, authorized=False)
    if answer.status == 429:
        raise limited(answer) or ProviderUnavailable("GitHub answered 429 to a token request")
    if answer.status >= 500:
        raise ProviderUnavailable(f"GitHub answered {answer.status} to a token request")
    return _token_answer(answer)


def _token_answer(answer: HttpAnswer) -> TokenAnswer:
    """Foreign until proved: an answer that fits half is no answer, and its texts are quoted nowhere."""
    try:
        payload = msgspec.json.decode(answer.body, type=_TokenPayload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderContractBroken("GitHub's answer to a token request is not the documented JSON") from error
    if payload.error in REFUSALS:
        raise AuthRevoked(f"GitHub refused: {payload.error}")
    if payload.error or answer.status >= 300:
        raise ProviderContractBroken(f"GitHub answered {answer.status} with an unknown error to a token request")
    if not TOKEN.match(payload.access_token) or payload.token_type.lower() != "bearer" or payload.scope is None:
        raise ProviderContractBroken("GitHub gave no usable token")
    if payload.refresh_token is not None and not TOKEN.match(payload.refresh_token):
        raise ProviderContractBroken("GitHub gave no usable refresh token")
    return TokenAnswer(
        access_token=payload.access_token,
        refresh_token=payload.refresh_token,
        expires_at=_expiry(payload.expires_in),
        # Comma separated, although the request is separated by spaces (docs: "Authorizing OAuth apps").
        scopes=tuple(scope.strip() for scope in payload.scope.split(",") if scope.strip()),
    )


def _expiry(seconds: int | None) -> datetime | None:
    """Absent = unknown. A token that had ended before it came, or never ends, is nothing that GitHub documents."""
    if seconds is None:
        return None
    if not 0 < seconds <= LONGEST_LIFE:
        raise ProviderContractBroken("GitHub's expires_in is not a lifetime")
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


FACET: AuthFacet = GithubAuth()
