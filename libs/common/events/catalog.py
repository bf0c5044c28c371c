"""The whole list of topics: one topic, one class, one owner. Documents and topic lists are generated from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from libs.common.events.event import Event
from libs.common.events.integration import (
    IntegrationAuthFailed,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    WorkspaceDeleted,
)
from libs.common.events.source import (
    FeedbackRecorded,
    ResourceDeselected,
    ResourceSelected,
    SourceChanged,
    SourceIndexed,
    SourceIndexFailed,
)
from libs.common.events.sync import SyncCompleted, SyncFailed, SyncStarted, SyncStateChanged
from libs.common.events.webhook import WebhookReceived, WebhookSubscriptionChanged

Owner = Literal["auth", "webhooks", "sync", "chunker"]


class Topic(msgspec.Struct, frozen=True):
    """`retention_hours` is the topic's; the owner's outbox keeps rows at least as long."""

    name: str
    event: type[Event]
    owner: Owner
    partitions: int
    retention_hours: int = 168


CATALOG: tuple[Topic, ...] = (
    Topic("integration.connected", IntegrationConnected, "auth", 3),
    Topic("integration.updated", IntegrationUpdated, "auth", 3),
    Topic("integration.disconnected", IntegrationDisconnected, "auth", 3),
    Topic("integration.auth_failed", IntegrationAuthFailed, "auth", 3),
    Topic("workspace.deleted", WorkspaceDeleted, "auth", 3),
    Topic("webhook.received", WebhookReceived, "webhooks", 6),
    Topic("webhook.subscription_changed", WebhookSubscriptionChanged, "webhooks", 3),
    Topic("resource.selected", ResourceSelected, "sync", 3),
    Topic("resource.deselected", ResourceDeselected, "sync", 3),
    Topic("source.changed", SourceChanged, "sync", 6),
    Topic("sync.started", SyncStarted, "sync", 3),
    Topic("sync.completed", SyncCompleted, "sync", 3),
    Topic("sync.failed", SyncFailed, "sync", 3),
    Topic("sync.state_changed", SyncStateChanged, "sync", 3),
    Topic("source.indexed", SourceIndexed, "chunker", 6),
    Topic("source.index_failed", SourceIndexFailed, "chunker", 3),
    Topic("feedback.recorded", FeedbackRecorded, "chunker", 3),
)
BY_NAME = {topic.name: topic for topic in CATALOG}
BY_CLASS = {topic.event: topic for topic in CATALOG}


def topic_of(event: Event | type[Event]) -> Topic:
    """Raises KeyError for a class that is not in the catalogue."""
    return BY_CLASS[event if isinstance(event, type) else type(event)]
