"""Takes one delivery: prove it on its raw bytes, read it, keep it, and only then answer."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

from libs.common.clock import Clock
from libs.common.errors import NotFound, SignatureInvalid
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest, WebhookScheme
from libs.common.provider.webhooks import Delivery, RawWebhook, WebhookFacet
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.tracing import current_traceparent
from libs.providers import registry
from services.webhooks.domain import Arrival, Endpoint, kept_headers
from services.webhooks.endpoints import Endpoints
from services.webhooks.inbox import Inbox

_deliveries = counter("webhook_deliveries_total", "Deliveries by what became of them", ["provider", "outcome"])


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["handled", "ignored", "unknown", "duplicate"]
    delivery_id: str | None = None


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with everything that reading a delivery at it needs."""

    endpoint: Endpoint
    scheme: WebhookScheme
    facet: WebhookFacet


def scheme_of(manifest: Manifest) -> WebhookScheme:
    """Raises NotFound for a provider that sends nothing."""
    if manifest.webhook is None:
        raise NotFound(f"{manifest.id} sends no webhooks")
    return manifest.webhook


async def find_door(*, endpoints: Endpoints, provider: str, endpoint_id: str) -> Door:
    """Raises NotFound, the same for an unknown endpoint and for one of another provider."""
    manifest = registry.manifest(provider)
    scheme = scheme_of(manifest)
    endpoint = await endpoints.get(endpoint_id)
    if endpoint.provider != manifest.id:
        raise NotFound
    return Door(endpoint=endpoint, scheme=scheme, facet=registry.facet(manifest.id, "webhooks"))


async def receive(*, door: Door, endpoints: Endpoints, inbox: Inbox, clock: Clock, hook: RawWebhook) -> Receipt:
    """Raises SignatureInvalid (nothing is kept) or MalformedPayload; answers after the commit."""
    try:
        await _verify(door, endpoints, hook)
    except SignatureInvalid:
        _deliveries.labels(door.endpoint.provider, "refused").inc()
        raise
    delivery = door.facet.parse(hook)
    arrival = _arrival(door, hook, delivery, clock)
    stored = await inbox.put(arrival)
    status: Literal["handled", "ignored", "unknown", "duplicate"] = delivery.outcome if stored else "duplicate"
    _deliveries.labels(door.endpoint.provider, status).inc()
    return Receipt(status=status, delivery_id=arrival.id if stored else None)


async def _verify(door: Door, endpoints: Endpoints, hook: RawWebhook) -> None:
    """A secret may have been rotated since it was read: a refusal is only believed of the present ones."""
    try:
        door.facet.verify(hook, door.endpoint.secrets)
    except SignatureInvalid:
        now = await endpoints.read(door.endpoint.id)
        if now.secret_version == door.endpoint.secret_version:
            raise
        door.facet.verify(hook, now.secrets)


def _arrival(door: Door, hook: RawWebhook, delivery: Delivery, clock: Clock) -> Arrival:
    endpoint = door.endpoint
    return Arrival(
        id=new_id(),
        workspace_id=endpoint.workspace_id,
        endpoint_id=endpoint.id,
        integration_id=endpoint.integration_id,
        provider=endpoint.provider,
        delivery_key=delivery.delivery_key,
        event=delivery.event,
        outcome=delivery.outcome,
        reason=delivery.reason,
        hints=delivery.hints,
        body=hook.body,
        body_hash=sha256(hook.body).digest(),
        headers=kept_headers(door.scheme, hook.headers),
        received_at=clock.now(),
        traceparent=current_traceparent(),
    )
