"""Access tokens from auth's broker, kept in memory until they expire; the broker alone decides about refused ones."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.internal import ACCESS_TOKEN_PATH, AccessToken, AccessTokenAsked

EARLY = timedelta(seconds=60)
UNKNOWN_LIFE = timedelta(minutes=5)


class Broker(Protocol):
    """The part of InternalClient that is used here."""

    async def post(
        self, path: str, body: object = None, *, response_type: type[AccessToken], seconds: float = 10.0
    ) -> AccessToken: ...


class Kept(msgspec.Struct, frozen=True):
    token: AccessToken
    until: datetime

    def __repr__(self) -> str:
        return f"Kept({self.token!r})"


class Tokens:
    """Fifty askers, one question: each integration's token is asked for under its own lock."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, *, workspace: str, integration: str, refused_version: int | None = None) -> AccessToken:
        """`refused_version`: the provider said no to that one. Raises AuthExpired, AuthRevoked or DependencyDown."""
        async with self._locks.setdefault(integration, asyncio.Lock()):
            kept = self._kept.get(integration)
            if kept and kept.until > self._clock.now() and kept.token.version != refused_version:
                return kept.token
            return await self._ask(workspace, integration, refused_version)

    def forget(self, integration: str) -> None:
        self._kept.pop(integration, None)
        self._locks.pop(integration, None)

    async def _ask(self, workspace: str, integration: str, refused_version: int | None) -> AccessToken:
        self._kept.pop(integration, None)
        asked = AccessTokenAsked(workspace_id=workspace, refused_version=refused_version)
        path = ACCESS_TOKEN_PATH.format(integration_id=integration)
        token = await self._broker.post(path, asked, response_type=AccessToken)
        now = self._clock.now()
        until = now + UNKNOWN_LIFE if token.expires_at is None else token.expires_at - EARLY
        self._kept[integration] = Kept(token, until)
        return token
