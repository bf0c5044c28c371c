"""What auth tells of an integration becomes rows that say what is wanted; repeats and older words change nothing, and
are answered with False."""

from __future__ import annotations

from collections.abc import Callable

from libs.common.database import erasure
from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.events.integration import (
    DesiredState,
    IntegrationAuthFailed,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    WorkspaceDeleted,
)
from libs.common.events.webhook import WebhookSubscriptionChanged
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest
from services.sync.domain.features import compare
from services.sync.repository import cleanups, erasing, integrations, leases, resources, runs
from services.sync.repository.integrations import Integration
from services.sync.repository.leases import Wanted
from services.sync.use_cases.runs import cancel_run, fail_run, open_discovery, request_run
from services.sync.use_cases.scheduling import Occasion, plan
from services.sync.use_cases.windows import follow_window


async def connect(event: IntegrationConnected, *, db: Database, manifest: Manifest) -> bool:
    """Wants discovery and one run, whatever the flags. Reconnected, the known resources run again."""
    async with db.transaction(event.workspace_id) as tx:
        change = await _take(tx, event.integration_id, event.provider, event.version, event.state)
        if change is None:
            return False
        before, now = change
        await _follow(tx, before, now, manifest)
        if now.works:
            await _start(tx, now, event.resources)
        await _follow_polling(tx, before, now, manifest)
    return True


async def _start(tx: Transaction, now: Integration, named: tuple[str, ...]) -> None:
    if not named and await resources.selected_ids(tx, now.id):
        await request_run(tx, now, cause="manual")
    else:
        await open_discovery(tx, now, named=named)


async def update(event: IntegrationUpdated, *, db: Database, manifest: Manifest) -> bool:
    async with db.transaction(event.workspace_id) as tx:
        change = await _take(tx, event.integration_id, event.provider, event.version, event.state)
        if change is not None:
            await _follow(tx, *change, manifest)
            await _follow_polling(tx, *change, manifest)
    return change is not None


async def _take(
    tx: Transaction, integration_id: str, provider: str, version: int, state: DesiredState
) -> tuple[Integration | None, Integration] | None:
    """(before, now), or None for a repeat, an older word, or one about what is gone."""
    if await erasure.is_erased(tx):
        return None
    await integrations.remember_workspace(tx)
    before = await integrations.find(tx, integration_id, lock="UPDATE")
    if not await integrations.write(tx, integration_id=integration_id, provider=provider, version=version, state=state):
        return None
    now = await integrations.find(tx, integration_id)
    return None if now is None else (before, now)


async def _follow(tx: Transaction, before: Integration | None, now: Integration, manifest: Manifest) -> None:
    """The run's row is locked before the work's, here as everywhere."""
    run_id = await runs.active_of(tx, now.id)
    if before is None or before.works != now.works:
        await leases.pause(tx, now.id, paused=not now.works)
        if run_id:
            await runs.note_change(tx, run_id)
    if before is not None and set(before.features) != set(now.features):
        await _follow_features(tx, before, now, manifest)
    if before is not None:
        await follow_window(tx, before, now, manifest)


async def _follow_polling(tx: Transaction, before: Integration | None, now: Integration, manifest: Manifest) -> None:
    """nextPollAt follows at once; switched off it is null."""
    same = before is not None and _looks_as(before) == _looks_as(now)
    await plan(tx, now, manifest, Occasion(base="kept" if same else "last_look"))
    await integrations.touch(tx, now.id)


def _looks_as(integration: Integration) -> tuple[bool, bool, bool, int]:
    return (
        integration.works, integration.polling_enabled, integration.monitor_changes, integration.polling_interval,
    )  # fmt: skip


async def _follow_features(tx: Transaction, before: Integration, now: Integration, manifest: Manifest) -> None:
    """On: those streams alone start over. Off: sources of types that no feature needs any more go."""
    change = compare(manifest, before.features, now.features)
    await leases.take_away(tx, now.id)
    await resources.restart_streams(tx, now.id, change.backfill)
    await resources.drop_streams(tx, now.id, change.drop_streams)
    if change.drop_types:
        await cleanups.want(tx, cleanup_id=new_id(), kind="types", integration_id=now.id, types=change.drop_types)
    if change.backfill and now.works and await resources.selected_ids(tx, now.id):
        await request_run(tx, now, cause="manual", streams=change.backfill)


async def disconnect(event: IntegrationDisconnected, *, db: Database) -> bool:
    """At once nothing of it works any more; a worker tombstones its sources in batches."""
    async with db.transaction(event.workspace_id) as tx:
        if await erasure.is_erased(tx):
            return False
        if not await integrations.disconnect(
            tx, integration_id=event.integration_id, provider=event.provider, version=event.version
        ):
            return False
        run_id = await runs.active_of(tx, event.integration_id)
        if run_id:
            await cancel_run(tx, run_id)
        await leases.forget_integration(tx, event.integration_id)
        await cleanups.want(
            tx, cleanup_id=f"remove:{event.integration_id}", kind="remove", integration_id=event.integration_id
        )
    return True


async def stop(event: IntegrationAuthFailed, *, db: Database, manifest_of: Callable[[str], Manifest]) -> bool:
    async with db.transaction(event.workspace_id) as tx:
        if not await integrations.stop(tx, event.integration_id, version=event.version):
            return False
        run_id = await runs.active_of(tx, event.integration_id)
        if run_id:
            detail = "the provider no longer accepts this connection; reconnect it"
            await fail_run(tx, run_id, code=event.code, detail=detail)
        await leases.pause(tx, event.integration_id, paused=True)
        stopped = await integrations.find(tx, event.integration_id)
        if stopped is not None:
            await plan(tx, stopped, manifest_of(stopped.provider), Occasion(base="kept"))
        await integrations.touch(tx, event.integration_id)
    return True


async def note_hooks(
    event: WebhookSubscriptionChanged, *, db: Database, manifest_of: Callable[[str], Manifest]
) -> None:
    """Hooks that stand from now on are followed by one look: what changed since its page was read, nobody told. Polls
    that hooks had stretched come sooner at once when those fail."""
    async with db.transaction(event.workspace_id) as tx:
        before = await integrations.write_hooks(
            tx, event.integration_id, state=event.state, version=event.version, last=event.last_delivery_at
        )
        found = await integrations.find(tx, event.integration_id)
        if before is None or before == event.state or found is None or found.disconnected:
            return
        if event.state == "active" and found.works:
            wanted = Wanted(integration_id=found.id, kind="poll", cause="webhook", ticket=new_id())
            await leases.enqueue(tx, await resources.selected_ids(tx, found.id), wanted, first=True)
        await plan(tx, found, manifest_of(found.provider), Occasion(base="last_look"))
        await integrations.touch(tx, found.id)


async def erase(event: WorkspaceDeleted, *, db: Database) -> None:
    """From now on late writes are refused; a worker empties the tables."""
    async with db.transaction(event.workspace_id) as tx:
        if await erasure.begin(tx):
            await erasing.erase_hot(tx)
            await cleanups.want(tx, cleanup_id=f"erase:{event.workspace_id}", kind="erase")
