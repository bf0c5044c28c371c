"""Providers of this process: one connected by token, one by a site's address, one planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.errors import AuthRevoked, InvalidInput, NotFound, ProviderUnavailable
from libs.common.http.client import OutboundClient
from libs.common.provider.auth import Account
from libs.common.provider.client import ProviderHttp
from libs.common.provider.manifest import Feature, Manifest
from services.auth.providers import Providers

GOOD_TOKEN = "tok-good-1234567890"
OTHER_TOKEN = "tok-other-account-99"
SECOND_TOKEN = "tok-good-second-5678"
ACCOUNTS = {GOOD_TOKEN: "acc-1", SECOND_TOKEN: "acc-1", OTHER_TOKEN: "acc-2"}


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
        "features": (feature("issues", enabled=True), feature("boards", enabled=False)),
    }
    return Manifest(**{**values, **changes})


MANIFESTS = {
    "tracker": manifest("tracker", polling_interval_minutes=15),
    "site": manifest("site", connect=("url",), features=(feature("pages", enabled=True),)),
    "someday": manifest("someday", status="planned"),
}


class ProviderDouble:
    """Also the auth facet of each. `revoked` tokens are refused; `away` answers nothing; `asked` counts the checks."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.away = False
        self.asked = 0

    def providers(self, environ: Mapping[str, str] | None = None) -> Providers:
        return Providers(
            client=OutboundClient(),
            environ=environ or {},
            manifests=lambda: MANIFESTS,
            find=self._find,
            facet=lambda _: self,  # type: ignore[arg-type,return-value]  # the OAuth half is not used here
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
