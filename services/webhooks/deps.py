"""What the use cases of webhooks are given; app.py alone makes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libs.common.clock import Clock
from libs.common.database.engine import Database
from libs.common.http.internal import InternalClient
from libs.common.internal import ACCESS_TOKEN_PATH, AccessToken, AccessTokenAsked
from libs.common.provider.client import Budget, ProviderHttp
from libs.common.provider.manifest import Manifest
from libs.common.security.vault import Vault
from services.webhooks.settings import WebhooksSettings


class Tokens(Protocol):
    async def lend(
        self, workspace: str, integration_id: str, *, teardown: bool, refused_version: int | None = None
    ) -> AccessToken:
        """Raises AuthExpired or AuthRevoked when there is none to lend, DependencyDown when auth is away."""
        ...


class AuthBroker:
    """Tokens from auth's broker; none is kept here."""

    def __init__(self, client: InternalClient) -> None:
        self._client = client

    async def lend(
        self, workspace: str, integration_id: str, *, teardown: bool, refused_version: int | None = None
    ) -> AccessToken:
        asked = AccessTokenAsked(
            workspace_id=workspace, refused_version=refused_version, purpose="teardown" if teardown else "hooks"
        )
        path = ACCESS_TOKEN_PATH.format(integration_id=integration_id)
        return await self._client.post(path, asked, response_type=AccessToken)


class BudgetedHttp(ProviderHttp, Protocol):
    @property
    def budget(self) -> Budget | None:
        """What the answers so far said is left."""
        ...


class Granted(Protocol):
    def __call__(self, manifest: Manifest, token: AccessToken, *, workspace: str, integration: str) -> BudgetedHttp:
        """A provider's HTTP with a lent token, whose calls are paid for out of that account's budget."""
        ...


@dataclass(frozen=True)
class Deps:
    db: Database
    clock: Clock
    settings: WebhooksSettings
    vault: Vault
    tokens: Tokens
    granted: Granted
