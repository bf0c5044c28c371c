"""Template's grants: personal tokens only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from libs.common.errors import AuthExpired, AuthRevoked, InvalidInput, InvalidState
from libs.common.provider.auth import Account, AuthFacet, ClientRegistration, TokenAnswer
from libs.common.provider.client import ProviderHttp
from libs.providers._template.client import decode, get
from libs.providers._template.payloads import Me

TOKEN = re.compile(r"[\x21-\x7e]{8,512}")


class TemplateAuth:
    def validate_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """There is nothing to set."""
        for name in config:
            raise InvalidInput("Template has no settings", pointer=f"/config/{name}")
        return {}

    def validate_token(self, token: str) -> None:
        if not TOKEN.fullmatch(token):
            raise InvalidInput("a Template token is 8 to 512 visible characters", pointer="/token")

    def authorize_url(
        self, registration: ClientRegistration, *, state: str, scopes: Sequence[str], code_challenge: str | None
    ) -> str:
        _no_consent_page()

    async def exchange(
        self, http: ProviderHttp, registration: ClientRegistration, *, code: str, code_verifier: str | None
    ) -> TokenAnswer:
        _no_consent_page()

    async def refresh(self, http: ProviderHttp, registration: ClientRegistration, *, refresh_token: str) -> TokenAnswer:
        _no_consent_page()

    async def revoke(self, http: ProviderHttp, registration: ClientRegistration, *, token: str) -> None:
        """A personal token is its owner's: forgetting it is all that can be done here."""

    async def check(self, http: ProviderHttp) -> Account:
        try:
            me = decode((await get(http, "/me")).body, Me)
        except AuthExpired as error:
            raise AuthRevoked("Template refused this token; make a new one") from error
        return Account(account_id=me.id, account_name=me.name)


def _no_consent_page() -> NoReturn:
    """The manifest lists no `oauth`, so nobody asks; with `[oauth]` in it these verbs come alive."""
    raise InvalidState("Template connects by token")


FACET: AuthFacet = TemplateAuth()
