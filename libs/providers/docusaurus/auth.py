"""Connecting a site by its address: public, recognised, and nobody's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from libs.common.errors import InvalidInput, InvalidState
from libs.common.provider.auth import Account, AuthFacet, ClientRegistration, TokenAnswer
from libs.common.provider.client import ProviderHttp
from libs.common.sites.addresses import site_at
from libs.common.sites.survey import Rules, open_visitor, recognise
from libs.providers.docusaurus.config import clean_config
from libs.providers.docusaurus.page import READER


class DocusaurusAuth:
    def validate_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return clean_config(config)

    def validate_token(self, token: str) -> None:
        raise InvalidInput("a public site is connected by its address, not by a token", pointer="/token")

    def authorize_url(
        self, registration: ClientRegistration, *, state: str, scopes: Sequence[str], code_challenge: str | None
    ) -> str:
        _no_account()

    async def exchange(
        self, http: ProviderHttp, registration: ClientRegistration, *, code: str, code_verifier: str | None
    ) -> TokenAnswer:
        _no_account()

    async def refresh(self, http: ProviderHttp, registration: ClientRegistration, *, refresh_token: str) -> TokenAnswer:
        _no_account()

    async def revoke(self, http: ProviderHttp, registration: ClientRegistration, *, token: str) -> None:
        """There is nothing to take back."""

    async def check(self, http: ProviderHttp) -> Account:
        """Is this address a site that can be read? It is its own account. Raises LostSight that says what to do."""
        site = site_at(http.api_url)
        start = await recognise(await open_visitor(http, site, Rules()), site, READER)
        return Account(account_id=site.url, account_name=start.page.title)


def _no_account() -> NoReturn:
    """The manifest lists no `oauth`, so nobody asks."""
    raise InvalidState("a public site has no accounts")


FACET: AuthFacet = DocusaurusAuth()
