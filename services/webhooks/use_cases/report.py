"""Writes down which hook is wanted of a resource, and tells auth what the integration's hooks amount to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events import WebhookSubscriptionChanged
from libs.common.ids import new_id
from libs.common.jobs import run_later
from libs.providers import registry
from services.webhooks.domain import Desired, Report, next_state, report, wants_hook
from services.webhooks.repository import deliveries, projections, subscriptions

SETTLE_HOOK = "settle_hook"


def desired_of(integration: Row) -> Desired:
    scheme = registry.manifest(integration["provider"]).webhook
    registration: Literal["api", "manual", "app", "none"] = "none" if scheme is None else scheme.registration
    return Desired(
        connected=integration["connected"],
        monitor_changes=integration["monitor_changes"],
        registration=registration,
    )


async def wish_for(tx: Transaction, integration: Row, resource: Row, *, at: datetime) -> None:
    """A changed wish becomes a row and a job of the same transaction; an unchanged one that failed is tried again."""
    wanted = wants_hook(desired_of(integration), selected=resource["selected"])
    if wanted == bool(resource["wanted"]) and resource["state"] != "failing":
        return
    subscription_id = await subscriptions.wish(
        tx,
        subscription_id=resource["subscription_id"] or new_id(),
        workspace=integration["workspace_id"],
        integration_id=integration["id"],
        resource_id=resource["id"],
        wanted=wanted,
        state=next_state(wanted=wanted, hook_id=resource["hook_id"]),
    )
    await settle_later(tx, subscription_id, at=at)


async def settle_later(tx: Transaction, subscription_id: str, *, at: datetime, workspace: str | None = None) -> None:
    """One job a subscription: a wish that changes while it runs lets it run again. Queue transactions name
    `workspace`."""
    await run_later(tx, SETTLE_HOOK, subscription_id, {"subscription_id": subscription_id}, at, workspace=workspace)


async def announce(tx: Transaction, integration: Row) -> None:
    """Emits the state of the hooks in absolute values if it is not what was told last. The row is locked."""
    found = report(desired_of(integration), await subscriptions.hooks_of(tx, integration["id"]))
    if found == msgspec.json.decode(integration["reported"], type=Report):
        return
    version = await projections.note_report(tx, integration["id"], found)
    await tx.emit(
        WebhookSubscriptionChanged(
            workspace_id=integration["workspace_id"],
            integration_id=integration["id"],
            version=version,
            state=found.state,
            subscriptions=found.subscriptions,
            last_delivery_at=await deliveries.last_delivery_at(tx, integration["id"]),
            expires_at=found.expires_at,
            detail=found.detail,
        )
    )
