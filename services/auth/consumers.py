"""What auth hears: the state that others observe of an integration, to show it."""

from __future__ import annotations

from libs.common.bus.consume import Consumers
from libs.common.events import FeedbackRecorded, SyncStateChanged, WebhookSubscriptionChanged
from services.auth.deps import Deps
from services.auth.use_cases import observe

consumers = Consumers("auth")


@consumers.consume(SyncStateChanged)
async def on_sync_state_changed(event: SyncStateChanged, deps: Deps) -> None:
    await observe.observe_sync(event, deps=deps)


@consumers.consume(WebhookSubscriptionChanged)
async def on_webhook_subscription_changed(event: WebhookSubscriptionChanged, deps: Deps) -> None:
    await observe.observe_hooks(event, deps=deps)


@consumers.consume(FeedbackRecorded)
async def on_feedback_recorded(event: FeedbackRecorded, deps: Deps) -> None:
    await observe.observe_feedback(event, deps=deps)
