"""The webhooks facet: is this delivery theirs, what does it hint at, and how hooks are made and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from libs.common.events.webhook import Hint
from libs.common.provider.client import ProviderHttp
from libs.common.provider.sync import Resource
from libs.common.security.secrets import Secret


class RawWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes as received; header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is one of three explicit lists; `unknown` is counted and stored, never an exception.

    `delivery_key` is the provider's own id, the same on a redelivery.
    """

    delivery_key: str
    event: str
    outcome: Literal["handled", "ignored", "unknown"]
    hints: tuple[Hint, ...] = ()
    reason: str = ""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    external_id: str
    expires_at: datetime | None = None


class WebhookFacet(Protocol):
    """`verify` and `parse` are plain functions of bytes; registration receives an injected client."""

    def verify(self, hook: RawWebhook, secrets: Sequence[Secret]) -> None:
        """Raises SignatureInvalid. Compares in constant time over the raw bytes; a missing header is refused."""
        ...

    def parse(self, hook: RawWebhook) -> Delivery:
        """Raises MalformedPayload for bytes that are no JSON object."""
        ...

    async def register(self, http: ProviderHttp, resource: Resource, url: str, secret: Secret) -> Subscription:
        """Idempotent: an existing hook with this URL is updated, not doubled."""
        ...

    async def unregister(self, http: ProviderHttp, resource: Resource, external_id: str) -> None:
        """A hook that is already gone is success."""
        ...
