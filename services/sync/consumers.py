"""What sync listens to: news becomes rows that say what is wanted, and wakes whoever works on them."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus.consume import Consumers
from libs.common.events import (
    IntegrationAuthFailed,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    SourceIndexed,
    SourceIndexFailed,
    WebhookReceived,
    WebhookSubscriptionChanged,
    WorkspaceDeleted,
)
from services.sync.deps import Deps
from services.sync.use_cases import hints, integrations, statuses

consumers = Consumers("sync")


@consumers.consume(IntegrationConnected)
async def on_connected(event: IntegrationConnected, deps: Deps) -> None:
    if await integrations.connect(event, db=deps.db, manifest=deps.manifest_of(event.provider)):
        deps.tokens.forget(event.integration_id)
        deps.wakes.discovery.set()
        deps.wakes.work.set()


@consumers.consume(IntegrationUpdated)
async def on_updated(event: IntegrationUpdated, deps: Deps) -> None:
    if not await integrations.update(event, db=deps.db, manifest=deps.manifest_of(event.provider)):
        return
    if event.reason == "grant":
        deps.tokens.forget(event.integration_id)
    deps.wakes.work.set()
    deps.wakes.cleanup.set()


@consumers.consume(IntegrationDisconnected)
async def on_disconnected(event: IntegrationDisconnected, deps: Deps) -> None:
    if await integrations.disconnect(event, db=deps.db):
        deps.tokens.forget(event.integration_id)
        deps.wakes.cleanup.set()


@consumers.consume(IntegrationAuthFailed)
async def on_auth_failed(event: IntegrationAuthFailed, deps: Deps) -> None:
    if await integrations.stop(event, db=deps.db, manifest_of=deps.manifest_of):
        deps.tokens.forget(event.integration_id)


@consumers.consume(WorkspaceDeleted)
async def on_workspace_deleted(event: WorkspaceDeleted, deps: Deps) -> None:
    await integrations.erase(event, db=deps.db)
    deps.wakes.cleanup.set()


@consumers.consume(WebhookReceived)
async def on_webhook(event: WebhookReceived, deps: Deps) -> None:
    if await hints.take_hints(event, db=deps.db, manifest=deps.manifest_of(event.provider)):
        deps.wakes.dirty.set()
        deps.wakes.work.set()


@consumers.consume(WebhookSubscriptionChanged)
async def on_subscription_changed(event: WebhookSubscriptionChanged, deps: Deps) -> None:
    await integrations.note_hooks(event, db=deps.db, manifest_of=deps.manifest_of)
    deps.wakes.work.set()


@consumers.consume_many(SourceIndexed)
async def on_indexed(events: Sequence[SourceIndexed], deps: Deps) -> None:
    await statuses.note_indexed(events, db=deps.db)


@consumers.consume_many(SourceIndexFailed)
async def on_index_failed(events: Sequence[SourceIndexFailed], deps: Deps) -> None:
    await statuses.note_index_failed(events, db=deps.db)
