"""The webhooks facet: is this delivery theirs, what does it hint at, and how hooks are made and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

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


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that never got through. `attempt` is the provider's id of its newest attempt, which failed then."""

    delivery_key: str
    attempt: str
    failed_at: datetime


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


@runtime_checkable
class RedeliveringFacet(WebhookFacet, Protocol):
    """Of a provider that sends nothing twice by itself, but keeps what failed: its manifest says `missed_hours`."""

    async def missed(
        self, http: ProviderHttp, resource: Resource, external_id: str, since: datetime
    ) -> Sequence[Missed]:
        """What was tried since then and never got through, each once. Reads; asks for nothing.

        Raises LostSight where the token may not see the hook.
        """
        ...

    async def redeliver(self, http: ProviderHttp, resource: Resource, external_id: str, attempt: str) -> None:
        """The provider sends it again, soon, under the same delivery key.

        Raises ResourceGone for one that it no longer keeps.
        """
        ...
