"""Providers of this process: one connected by token, one by a site's address, one planned."""

from __future__ import annotations

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from libs.common.errors import AuthRevoked, InvalidInput, NotFound, ProviderUnavailable
from libs.common.http.client import OutboundClient
from libs.common.provider.auth import Account, ClientRegistration, TokenAnswer
from libs.common.provider.client import ProviderHttp
from libs.common.provider.manifest import Feature, Manifest, OAuthClient
from services.auth.providers import Providers

GOOD_TOKEN = "tok-good-1234567890"
OTHER_TOKEN = "tok-other-account-99"
SECOND_TOKEN = "tok-good-second-5678"
ACCOUNTS = {GOOD_TOKEN: "acc-1", SECOND_TOKEN: "acc-1", OTHER_TOKEN: "acc-2"}


EXPIRES_AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
OAUTH = OAuthClient(
    authorize_url="https://tracker.example/authorize",
    token_url="https://tracker.example/token",
    scopes=("read", "write"),
)


def feature(name: str, *, enabled: bool) -> Feature:
    return Feature(
        id=name, name=name.title(), description="d", enabled=enabled, streams=(name,), source_types=("issue",)
    )


def manifest(provider_id: str, **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "id": provider_id,
        "name": provider_id.title(),
        "description": "A double.",
        "icon": f"/providers/{provider_id}.svg",
        "status": "available",
        "connect": ("oauth", "token"),
        "delivery": "poll",
        "resource_kind": "board",
        "resource_name": "Boards",
        "api_url": "https://api.tracker.example",
        "base_url": "https://tracker.example",
        "oauth": OAUTH,
        "features": (feature("issues", enabled=True), feature("boards", enabled=False)),
    }
    return Manifest(**{**values, **changes})


MANIFESTS = {
    "tracker": manifest("tracker", polling_interval_minutes=15, windowed=("issues",)),
    "site": manifest("site", connect=("url",), features=(feature("pages", enabled=True),)),
    "someday": manifest("someday", status="planned"),
}


class ProviderDouble:
    """Also the auth facet of each. `revoked` tokens are refused; `away` answers nothing; `asked` counts the checks.

    `gives` is what the next token request answers with, or raises; `exchanged` are the codes that were sent.
    """

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.away = False
        self.asked = 0
        self.gives: TokenAnswer | Exception = token_answer()
        self.exchanged: list[str] = []
        self.ended: list[str] = []
        self.revoking: Exception | None = None
        self._consents: dict[str, dict[str, str]] = {}

    def providers(self, environ: Mapping[str, str] | None = None) -> Providers:
        return Providers(
            client=OutboundClient(),
            environ=environ or {},
            manifests=lambda: MANIFESTS,
            find=self._find,
            facet=lambda _: self,  # type: ignore[arg-type,return-value]  # one double is every provider's facet
        )

    def _find(self, name: str) -> Manifest:
        if name.lower() not in MANIFESTS:
            raise NotFound(f"unknown provider; choose one of {', '.join(MANIFESTS)}", pointer="/provider")
        return MANIFESTS[name.lower()]

    def validate_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        for name in config:
            if name not in ("since", "url"):
                raise InvalidInput("unknown setting", pointer=f"/config/{name}")
        return dict(config)

    def validate_token(self, token: str) -> None:
        if not token.startswith("tok-"):
            raise InvalidInput("tokens of this provider begin with tok-", pointer="/token")

    async def check(self, http: ProviderHttp) -> Account:
        self.asked += 1
        if self.away:
            raise ProviderUnavailable("the double is away")
        token = str(getattr(http, "_token", ""))
        if not token:
            if "127.0.0.1" in http.base_url:
                await http.request("GET", "/")  # the real client, and its guard
            return Account(account_id=http.base_url, account_name=http.base_url)
        if token in self.revoked or token not in ACCOUNTS:
            raise AuthRevoked("the double refuses this token")
        return Account(account_id=ACCOUNTS[token], account_name=ACCOUNTS[token].upper(), scopes=("read",))

    def authorize_url(
        self, registration: ClientRegistration, *, state: str, scopes: Sequence[str], code_challenge: str | None
    ) -> str:
        query = {
            "client_id": registration.client_id, "redirect_uri": registration.redirect_uri, "scope": " ".join(scopes),
            "state": state, "code_challenge": code_challenge or "", "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{registration.base_url}/authorize?{urlencode(query)}"

    def consent(self, location: str) -> dict[str, str]:
        """What the provider sends back after a click on "allow": `code` and `state`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = secrets.token_urlsafe(24)
        self._consents[code] = asked
        return {"code": code, "state": asked["state"]}

    async def exchange(
        self, http: ProviderHttp, registration: ClientRegistration, *, code: str, code_verifier: str | None
    ) -> TokenAnswer:
        """As strict as a provider may be: redirect_uri byte for byte, the verifier of that challenge, once."""
        self.exchanged.append(code)
        await asyncio.sleep(0.02)  # long enough for a second request to come in between
        asked = self._consents.pop(code, None)
        digest = sha256((code_verifier or "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (registration.redirect_uri, challenge):
            raise AuthRevoked("the double refuses this code")
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives

    async def revoke(self, http: ProviderHttp, registration: ClientRegistration, *, token: str) -> None:
        if self.revoking is not None:
            raise self.revoking
        self.ended.append(token)


def token_answer(token: str = GOOD_TOKEN, **changes: Any) -> TokenAnswer:
    values: dict[str, Any] = {
        "access_token": token,
        "refresh_token": "refresh-" + token,
        "expires_at": EXPIRES_AT,
        "scopes": ("read", "write"),
    }
    return TokenAnswer(**{**values, **changes})
