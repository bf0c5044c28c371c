"""One event → rows that say what is wanted."""

from __future__ import annotations

from libs.common.bus.consume import Consumers
from libs.common.events import IntegrationConnected, IntegrationDisconnected, SourceChanged, WorkspaceDeleted
from services.chunker.deps import Deps
from services.chunker.use_cases import indexing, workspaces

consumers = Consumers("chunker")


@consumers.consume(SourceChanged)
async def on_source_changed(event: SourceChanged, deps: Deps) -> None:
    await indexing.want_index(event, deps)


@consumers.consume(IntegrationConnected)
async def on_integration_connected(event: IntegrationConnected, deps: Deps) -> None:
    await workspaces.remember_workspace(event.workspace_id, deps)


@consumers.consume(IntegrationDisconnected)
async def on_integration_disconnected(event: IntegrationDisconnected, deps: Deps) -> None:
    await indexing.want_integration_removed(event, deps)


@consumers.consume(WorkspaceDeleted)
async def on_workspace_deleted(event: WorkspaceDeleted, deps: Deps) -> None:
    await workspaces.erase_workspace(event.workspace_id, deps)
