"""What the other services report, written only if newer; nothing is emitted because of it, so nothing loops."""

from __future__ import annotations

import msgspec

from libs.common.events import FeedbackRecorded, SyncStateChanged, WebhookSubscriptionChanged
from services.auth.deps import Deps
from services.auth.domain.integration import runs_failing
from services.auth.repository import integrations, observations
from services.auth.use_cases.later import erase_grant_now


async def observe_sync(event: SyncStateChanged, *, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        found = await integrations.lock_integration(tx, event.integration_id)
        if found is None or not await observations.observe_sync(tx, event):
            return
        failing = runs_failing(event.error_count)
        if failing != found.failing:
            await integrations.save_failing(tx, msgspec.structs.replace(found, failing=failing))


async def observe_hooks(event: WebhookSubscriptionChanged, *, deps: Deps) -> None:
    """`removed` after a disconnect is the acknowledgement of the teardown: the deadline need not be waited for."""
    async with deps.db.transaction(event.workspace_id) as tx:
        found = await integrations.lock_integration(tx, event.integration_id)
        if found is None or not await observations.observe_hooks(tx, event):
            return
        if event.state == "removed" and found.disconnected_at is not None:
            await erase_grant_now(tx, deps=deps, workspace=event.workspace_id, integration_id=found.id)


async def observe_feedback(event: FeedbackRecorded, *, deps: Deps) -> None:
    async with deps.db.transaction(event.workspace_id) as tx:
        await observations.observe_feedback(tx, event)
