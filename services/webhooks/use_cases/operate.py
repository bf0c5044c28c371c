"""What a person does with an endpoint: read it, change its secret, look at deliveries and have one looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidInput, InvalidState, NotFound
from libs.common.events import WebhookReceived
from libs.common.provider.manifest import WebhookScheme
from libs.common.provider.webhooks import RawWebhook
from libs.common.security.callers import Principal
from libs.common.security.secrets import Secret
from libs.providers import registry
from services.webhooks.deps import Deps
from services.webhooks.domain import hook_url
from services.webhooks.endpoints import new_secret, open_secret, seal_secret
from services.webhooks.repository import deliveries, endpoints, subscriptions
from services.webhooks.use_cases.report import settle_later

READ = "integrations:read"
WRITE = "integrations:write"
SHORTEST_SECRET = 16
LONGEST_SECRET = 512


class EndpointShown(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` only the first time after it was made."""

    row: Row
    url: str
    scheme: WebhookScheme
    secret: Secret | None


async def show_endpoint(*, deps: Deps, principal: Principal, integration_id: str) -> EndpointShown:
    workspace = await workspace_of(deps, principal, "integration", integration_id)
    async with deps.db.transaction(workspace) as tx:
        row = await _locked(tx, integration_id)
        secret = None
        if row["secret_shown_at"] is None:
            secret = await open_secret(tx, deps.vault, row, "secret_version", "secret_sealed")
            await endpoints.mark_shown(tx, row["id"])
        return _shown(deps, row, secret)


async def rotate_secret(*, deps: Deps, principal: Principal, integration_id: str) -> EndpointShown:
    """A new secret of our making, shown in this answer only; the old one is accepted for a while."""
    workspace = await workspace_of(deps, principal, "integration", integration_id)
    async with deps.db.transaction(workspace) as tx:
        row = await _locked(tx, integration_id)
        secret = new_secret()
        await _replace(tx, deps, row, secret)
        await endpoints.mark_shown(tx, row["id"])
        return _shown(deps, await _locked(tx, integration_id), secret)


async def give_secret(*, deps: Deps, principal: Principal, integration_id: str, secret: Secret) -> EndpointShown:
    """For a provider that makes the secret itself. Giving the present one again changes nothing."""
    _check_secret(secret)
    workspace = await workspace_of(deps, principal, "integration", integration_id)
    async with deps.db.transaction(workspace) as tx:
        row = await _locked(tx, integration_id)
        if secret != await open_secret(tx, deps.vault, row, "secret_version", "secret_sealed"):
            await _replace(tx, deps, row, secret)
        await endpoints.mark_shown(tx, row["id"])
        return _shown(deps, await _locked(tx, integration_id), None)


async def list_deliveries(
    *, deps: Deps, principal: Principal, integration_id: str, before: str | None, limit: int
) -> Sequence[Row]:
    workspace = await workspace_of(deps, principal, "integration", integration_id, READ)
    async with deps.db.transaction(workspace) as tx:
        return await deliveries.of_integration(tx, integration_id, before=before, limit=limit)


async def replay_delivery(*, deps: Deps, principal: Principal, delivery_id: str) -> int:
    """Reads the stored bytes with today's rules and says "look again" once more; answers how often by now."""
    workspace = await workspace_of(deps, principal, "delivery", delivery_id)
    async with deps.db.transaction(workspace) as tx:
        row = await deliveries.mark_replayed(tx, delivery_id)
        if row is None:
            raise NotFound
        await tx.emit(_again(deps, workspace, row))
        return int(row["replayed"])


async def list_subscriptions(
    *, deps: Deps, principal: Principal, integration_id: str, after: str | None, limit: int
) -> Sequence[Row]:
    workspace = await workspace_of(deps, principal, "integration", integration_id, READ)
    async with deps.db.transaction(workspace) as tx:
        return await subscriptions.of_integration(tx, integration_id, after=after, limit=limit)


async def workspace_of(deps: Deps, principal: Principal, table: str, row_id: str, scope: str = WRITE) -> str:
    """An endpoint's URL and secret are for those who may configure: reading them needs WRITE as well."""
    principal.require(scope)
    workspace = await deps.db.locate(table, row_id)
    if workspace is None:
        raise NotFound
    principal.require_workspace(workspace)
    return workspace


async def _locked(tx: Transaction, integration_id: str) -> Row:
    row = await endpoints.lock_endpoint_of(tx, integration_id)
    if row is None:
        raise NotFound("this integration has no webhook endpoint: its provider is polled, or it is disconnected")
    return row


async def _replace(tx: Transaction, deps: Deps, row: Row, secret: Secret) -> None:
    """Hooks that we made learn the new secret by a job each; until then their deliveries carry the old one."""
    workspace, integration_id, version = row["workspace_id"], row["integration_id"], row["secret_version"] + 1
    await endpoints.put_secret(
        tx,
        row["id"],
        sealed=await seal_secret(tx, deps.vault, workspace, integration_id, version, secret),
        version=version,
        previous_until=deps.clock.now() + timedelta(minutes=deps.settings.previous_secret_minutes),
    )
    for subscription in await subscriptions.standing(tx, integration_id):
        await settle_later(tx, subscription["id"], at=deps.clock.now())


def _check_secret(secret: Secret) -> None:
    text = secret.reveal()
    if not SHORTEST_SECRET <= len(text) <= LONGEST_SECRET or not text.isprintable():
        raise InvalidInput(
            f"a webhook secret has {SHORTEST_SECRET} to {LONGEST_SECRET} printable characters", pointer="/secret"
        )


def _shown(deps: Deps, row: Row, secret: Secret | None) -> EndpointShown:
    scheme = registry.manifest(row["provider"]).webhook
    if scheme is None:
        raise NotFound
    url = hook_url(deps.settings.public_url, row["provider"], row["id"])
    return EndpointShown(row=row, url=url, scheme=scheme, secret=secret)


def _again(deps: Deps, workspace: str, row: Row) -> WebhookReceived:
    headers = msgspec.json.decode(row["headers"], type=dict[str, str])
    hook = RawWebhook(headers=headers, body=bytes(row["body"]))
    delivery = registry.facet(row["provider"], "webhooks").parse(hook)
    if delivery.outcome != "handled":
        raise InvalidState(f"nothing follows from this delivery: {delivery.reason}")
    return WebhookReceived(
        workspace_id=workspace,
        integration_id=row["integration_id"],
        delivery_id=row["id"],
        provider=row["provider"],
        event=delivery.event,
        hints=delivery.hints,
        received_at=deps.clock.now(),
    )
