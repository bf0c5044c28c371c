"""Planning the next look of resources: after a look, after a change of settings, and when one is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.provider.client import Budget
from libs.common.provider.manifest import Manifest
from services.sync.domain import polling
from services.sync.domain.polling import Outlook
from services.sync.repository import integrations, resources, schedules
from services.sync.repository.integrations import Integration
from services.sync.repository.leases import Claim
from services.sync.repository.schedules import Planned
from services.sync.use_cases.runs import request_run

# From when the next poll is counted: from this moment, from the last look, or not anew.
Base = Literal["now", "last_look", "kept"]
Fresh = tuple[datetime | None, datetime | None]


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """Why it is planned anew. `swept`: sweeps that were just asked for or have just ended; `looked`: what whole looks
    that have just ended found, as (changes, requests). `left` of the provider's budget, where it is known."""

    base: Base
    only: Sequence[str] | None = None
    swept: Sequence[str] = ()
    looked: Mapping[str, tuple[int, int]] = {}
    left: Budget | None = None


async def plan(tx: Transaction, integration: Integration, manifest: Manifest, occasion: Occasion) -> None:
    """Of every selected resource, or of `only` some."""
    rows = await schedules.outlooks(tx, integration.id, occasion.only)
    if not rows:
        return
    streams = manifest.streams_of(integration.features)
    fresh = await resources.freshness(tx, [row["resource_id"] for row in rows], streams)
    common = await _shared(tx, integration, manifest, occasion.left)
    planned = [_plan_one(row, common, fresh.get(row["resource_id"], (None, None)), occasion) for row in rows]
    await schedules.save(tx, integration.id, planned)


async def _shared(
    tx: Transaction, integration: Integration, manifest: Manifest, left: Budget | None
) -> dict[str, object]:
    """What all resources of the grant have in common. Nobody knows the budget: then our own requests are counted."""
    resource_count, spent = await schedules.demand(tx, integration.id)
    limit = manifest.limits.requests_per_hour if manifest.limits else 0
    used, quota = (left.limit - left.remaining, left.limit) if left else (spent, limit)
    sweep_every = timedelta(hours=manifest.sweep_interval_hours)
    return {"sweep_every": sweep_every, "resources": resource_count, "limit": limit, "used": used, "quota": quota}


def _plan_one(row: Row, common: Mapping[str, object], fresh: Fresh, occasion: Occasion) -> Planned:
    resource_id = row["resource_id"]
    outlook = msgspec.convert({**row, **common}, Outlook)
    if resource_id in occasion.looked:
        changes, cost = occasion.looked[resource_id]
        outlook = polling.after_look(outlook, changes=changes, cost=cost)
    pace = polling.pace(outlook)
    return Planned(
        resource_id=resource_id, provider=row["provider"], version=row["version"], every=pace.every, reason=pace.reason,
        next_poll_at=_next_poll(outlook, pace.every, occasion.base),
        next_sweep_at=polling.next_sweep(outlook, asked_now=resource_id in occasion.swept),
        looks=outlook.looks, requests=outlook.cost, untold_at=polling.accused(outlook), fresh_as_of=fresh[0],
        swept_as_of=fresh[1], promised=polling.promise(outlook),
    )  # fmt: skip


def _next_poll(outlook: Outlook, every: timedelta | None, base: Base) -> datetime | None:
    if base == "kept" and every is not None and outlook.next_poll_at is not None:
        return outlook.next_poll_at
    counted = msgspec.structs.replace(outlook, last_look=outlook.now) if base == "now" else outlook
    return polling.next_poll(counted, every)


async def ask_due(tx: Transaction, integration_id: str, manifest_of: Callable[[str], Manifest]) -> bool:
    """One run for everything of the integration that is due. The run and its work are locked before the schedule."""
    integration = await integrations.find(tx, integration_id)
    if integration is None:
        await schedules.forget_unselected(tx, integration_id)
        return False
    manifest = manifest_of(integration.provider)
    if not (integration.works and (integration.polling_enabled or integration.monitor_changes)):
        await schedules.forget_unselected(tx, integration_id)
        await plan(tx, integration, manifest, Occasion(base="kept"))
        return False
    polls, sweeps = await schedules.due_of(tx, integration_id)
    if sweeps:
        await request_run(tx, integration, cause="sweep", kind="sweep", only=sweeps)
    if polls:
        await request_run(tx, integration, cause="poll", only=polls)
    await schedules.forget_unselected(tx, integration_id)
    await plan(tx, integration, manifest, Occasion(base="now", only=[*polls, *sweeps], swept=sweeps))
    await integrations.touch(tx, integration_id)
    return bool(polls or sweeps)


async def note_look(tx: Transaction, claim: Claim, manifest_of: Callable[[str], Manifest], left: Budget | None) -> bool:
    """What a look that ends now says of the next one; one at some streams only makes the copy fresher. Answers whether
    it was complete."""
    integration = await integrations.find(tx, claim.integration_id)
    if integration is None:
        return False
    manifest = manifest_of(integration.provider)
    only = [claim.resource_id]
    occasion = Occasion(base="kept", only=only, left=left)
    if claim.streams is None:
        found = await schedules.result_of(tx, claim.run_id, claim.resource_id) if claim.run_id else None
        swept = only if claim.kind == "sweep" else ()
        occasion = Occasion(
            base="now", only=only, swept=swept, looked={claim.resource_id: found} if found else {}, left=left
        )
    await plan(tx, integration, manifest, occasion)
    return await resources.is_complete(tx, claim.resource_id, manifest.streams_of(integration.features), claim.ticket)
