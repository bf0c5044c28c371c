"""The shared schemas of everything that crosses Kafka."""

from libs.common.events.catalog import BY_NAME, CATALOG, Topic, topic_of
from libs.common.events.event import Event
from libs.common.events.integration import (
    DesiredState,
    IntegrationAuthFailed,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationStatus,
    IntegrationUpdated,
    WorkspaceDeleted,
)
from libs.common.events.source import (
    Cause,
    Change,
    FeedbackRecorded,
    ResourceDeselected,
    ResourceSelected,
    SourceChanged,
    SourceIndexed,
    SourceIndexFailed,
    SourceStatus,
    SourceType,
)
from libs.common.events.sync import RunCounts, SyncCompleted, SyncFailed, SyncStarted, SyncStateChanged
from libs.common.events.webhook import Hint, WebhookReceived, WebhookSubscriptionChanged

__all__ = [
    "BY_NAME",
    "CATALOG",
    "Cause",
    "Change",
    "DesiredState",
    "Event",
    "FeedbackRecorded",
    "Hint",
    "IntegrationAuthFailed",
    "IntegrationConnected",
    "IntegrationDisconnected",
    "IntegrationStatus",
    "IntegrationUpdated",
    "ResourceDeselected",
    "ResourceSelected",
    "RunCounts",
    "SourceChanged",
    "SourceIndexFailed",
    "SourceIndexed",
    "SourceStatus",
    "SourceType",
    "SyncCompleted",
    "SyncFailed",
    "SyncStarted",
    "SyncStateChanged",
    "Topic",
    "WebhookReceived",
    "WebhookSubscriptionChanged",
    "WorkspaceDeleted",
    "topic_of",
]
