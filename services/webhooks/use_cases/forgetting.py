"""Deliveries hold the words of people: they are forgotten after a while, and with the integration they came for."""

from __future__ import annotations

from datetime import timedelta

from libs.common.database.transaction import Transaction
from libs.common.jobs import run_later
from services.webhooks.deps import Deps
from services.webhooks.repository import deliveries

FORGET_DELIVERIES = "forget_deliveries"
STEP = 1000


async def forget_old(*, deps: Deps) -> bool:
    """A step; True while there may be more. The last delivery of an integration stays: it tells that its hooks work."""
    before = deps.clock.now() - timedelta(days=deps.settings.delivery_days)
    async with deps.db.queue() as tx:
        return await deliveries.forget_old(tx, before=before, most=STEP) == STEP


async def forget_later(tx: Transaction, deps: Deps, integration_id: str) -> None:
    await run_later(tx, FORGET_DELIVERIES, integration_id, {"integration_id": integration_id}, deps.clock.now())


async def forget_deliveries(*, deps: Deps, workspace: str, integration_id: str) -> None:
    """In steps, of which each stays done. Its endpoint takes no more."""
    forgotten = STEP
    while forgotten == STEP:
        async with deps.db.transaction(workspace) as tx:
            forgotten = await deliveries.forget_some(tx, integration_id, most=STEP)
