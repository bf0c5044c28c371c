"""Follows what auth and sync say is wanted: projections by version, the endpoint, and a wish for each hook."""

from __future__ import annotations

from libs.common.database import erasure
from libs.common.database.transaction import Transaction
from libs.common.events import (
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    ResourceDeselected,
    ResourceSelected,
    WorkspaceDeleted,
)
from libs.providers import registry
from services.webhooks.deps import Deps
from services.webhooks.endpoints import new_endpoint_id, new_secret, seal_secret
from services.webhooks.repository import endpoints, erasing, projections
from services.webhooks.use_cases.forgetting import forget_later
from services.webhooks.use_cases.report import announce, wish_for

IntegrationEvent = IntegrationConnected | IntegrationUpdated | IntegrationDisconnected


async def follow_integration(event: IntegrationEvent, *, deps: Deps) -> None:
    """Whichever event comes first is enough: each carries the whole desired state, and only a newer one writes."""
    state = None if isinstance(event, IntegrationDisconnected) else event.state
    async with deps.db.transaction(event.workspace_id) as tx:
        if await erasure.is_erased(tx):
            return
        await projections.hold_integration(tx, event.integration_id)
        await projections.know_workspace(tx, event.workspace_id)
        newer = await projections.put_integration(
            tx,
            integration_id=event.integration_id,
            workspace=event.workspace_id,
            provider=event.provider,
            version=event.version,
            state=state,
        )
        if newer:
            await _settle_endpoint(tx, deps, event)
            await _wish_all(tx, deps, event.integration_id)


async def follow_resource(event: ResourceSelected | ResourceDeselected, *, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        if await erasure.is_erased(tx):
            return
        await projections.hold_integration(tx, event.integration_id)
        if await projections.put_resource(tx, event):
            await _wish_all(tx, deps, event.integration_id)


async def erase_workspace(event: WorkspaceDeleted, *, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        await erasing.erase(tx, event.workspace_id)


async def _settle_endpoint(tx: Transaction, deps: Deps, event: IntegrationEvent) -> None:
    """A disconnected endpoint answers 404; a connected integration has one, with a secret that we made."""
    if isinstance(event, IntegrationDisconnected):
        await endpoints.set_revoked(tx, event.integration_id, revoked=True)
        await forget_later(tx, deps, event.integration_id)
        return
    scheme = registry.manifest(event.provider).webhook
    if scheme is None:
        return
    if await endpoints.has_endpoint(tx, event.integration_id):
        await endpoints.set_revoked(tx, event.integration_id, revoked=False)
        return
    sealed = await seal_secret(tx, deps.vault, event.workspace_id, event.integration_id, 1, new_secret())
    await endpoints.add_endpoint(
        tx,
        endpoint_id=new_endpoint_id(),
        workspace=event.workspace_id,
        integration_id=event.integration_id,
        provider=event.provider,
        scheme=scheme.signature_header,
        sealed=sealed,
    )


async def _wish_all(tx: Transaction, deps: Deps, integration_id: str) -> None:
    """A resource may be heard of before its integration: then the integration's own event does this."""
    integration = await projections.lock_integration(tx, integration_id)
    if integration is None:
        return
    for resource in await projections.resources_of(tx, integration_id):
        await wish_for(tx, integration, resource, at=deps.clock.now())
    await announce(tx, integration)
