"""The auth facet: whose grant is this, and is it alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from libs.common.provider.client import ProviderHttp


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's own stable ids; `scopes` is what was granted, which may be less than asked."""

    account_id: str
    account_name: str
    tenant_id: str = ""
    scopes: tuple[str, ...] = ()


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a token endpoint gave. `expires_at` absent means unknown, never "for ever"."""

    access_token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    raw: dict[str, Any] = {}


class ClientRegistration(msgspec.Struct, frozen=True, kw_only=True):
    client_id: str
    client_secret: str
    redirect_uri: str
    base_url: str
    api_url: str


class AuthFacet(Protocol):
    """`authorize_url`, `validate_config` and `validate_token` are plain; the rest receives an injected client."""

    def validate_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The cleaned config. Raises InvalidInput with a pointer below /config; a secret in it is refused."""
        ...

    def validate_token(self, token: str) -> None:
        """Raises InvalidInput (pointer /token) when the text cannot be a token of this provider."""
        ...

    def authorize_url(
        self, registration: ClientRegistration, *, state: str, scopes: Sequence[str], code_challenge: str | None
    ) -> str: ...

    async def exchange(
        self, http: ProviderHttp, registration: ClientRegistration, *, code: str, code_verifier: str | None
    ) -> TokenAnswer: ...

    async def refresh(
        self, http: ProviderHttp, registration: ClientRegistration, *, refresh_token: str
    ) -> TokenAnswer: ...

    async def revoke(self, http: ProviderHttp, registration: ClientRegistration, *, token: str) -> None:
        """Ends this token alone: what another consent of the same account gave lives on. Where the provider can end
        only all of them, or none, it does nothing.
        """
        ...

    async def check(self, http: ProviderHttp) -> Account:
        """Who is this grant? Raises AuthRevoked when the provider refuses it, ProviderUnavailable when it is away."""
        ...
