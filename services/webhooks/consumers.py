"""What webhooks hears: auth says what is wanted of an integration, sync which resources are selected."""

from __future__ import annotations

from libs.common.bus.consume import Consumers
from libs.common.events import (
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    ResourceDeselected,
    ResourceSelected,
    WorkspaceDeleted,
)
from services.webhooks.deps import Deps
from services.webhooks.use_cases import follow

consumers = Consumers("webhooks")


@consumers.consume(IntegrationConnected)
async def on_integration_connected(event: IntegrationConnected, deps: Deps) -> None:
    await follow.follow_integration(event, deps=deps)


@consumers.consume(IntegrationUpdated)
async def on_integration_updated(event: IntegrationUpdated, deps: Deps) -> None:
    await follow.follow_integration(event, deps=deps)


@consumers.consume(IntegrationDisconnected)
async def on_integration_disconnected(event: IntegrationDisconnected, deps: Deps) -> None:
    await follow.follow_integration(event, deps=deps)


@consumers.consume(ResourceSelected)
async def on_resource_selected(event: ResourceSelected, deps: Deps) -> None:
    await follow.follow_resource(event, deps=deps)


@consumers.consume(ResourceDeselected)
async def on_resource_deselected(event: ResourceDeselected, deps: Deps) -> None:
    await follow.follow_resource(event, deps=deps)


@consumers.consume(WorkspaceDeleted)
async def on_workspace_deleted(event: WorkspaceDeleted, deps: Deps) -> None:
    await follow.erase_workspace(event, deps=deps)
