"""What the other services report of an integration: absolute values, the newest version only."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.events import FeedbackRecorded, SyncStateChanged, WebhookSubscriptionChanged


async def observe_sync(tx: Transaction, event: SyncStateChanged) -> bool:
    """False for an older version or an integration that is not here."""
    return await _observe(
        tx,
        "sync_version",
        event,
        last_polled_at=event.last_polled_at,
        next_poll_at=event.next_poll_at,
        change_count=event.change_count,
        error_count=event.error_count,
        last_error=event.last_error,
        last_error_code=event.last_error_code,
    )


async def observe_hooks(tx: Transaction, event: WebhookSubscriptionChanged) -> bool:
    return await _observe(
        tx,
        "hooks_version",
        event,
        hooks_state=event.state,
        subscriptions=event.subscriptions,
        last_delivery_at=event.last_delivery_at,
        hooks_expire_at=event.expires_at,
        hooks_detail=event.detail,
    )


async def observe_feedback(tx: Transaction, event: FeedbackRecorded) -> bool:
    return await _observe(
        tx,
        "feedback_version",
        event,
        helpful=event.helpful,
        unhelpful=event.unhelpful,
        outdated=event.outdated,
        incorrect=event.incorrect,
    )


async def _observe(
    tx: Transaction,
    version_column: str,
    event: SyncStateChanged | WebhookSubscriptionChanged | FeedbackRecorded,
    **values: object,
) -> bool:
    """Writes only if newer, in one statement: two deliveries of any order end at the newest values."""
    sets = ", ".join(f"{name} = :{name}" for name in values)
    changed = await tx.execute(
        f"UPDATE observation SET {version_column} = :version, {sets}"
        f" WHERE integration_id = :integration_id AND {version_column} < :version",
        version=event.version,
        integration_id=event.integration_id,
        **values,
    )
    return changed == 1
