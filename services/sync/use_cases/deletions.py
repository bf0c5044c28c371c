"""What somebody decides about held deletions, and bringing back what a listing deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import Conflict, InvalidState, NotFound
from libs.common.events.source import SourceChanged
from services.sync.deps import Deps
from services.sync.domain.features import wanted_types
from services.sync.domain.plan import Batch
from services.sync.domain.refusals import FeatureOff
from services.sync.repository import buried, changed_files, holds, integrations, resources, sweeps
from services.sync.repository.buried import Back, Buried
from services.sync.use_cases.apply import WITH_CHANGED_FILES, tombstone_all
from services.sync.use_cases.asking import known_integration
from services.sync.use_cases.sweeping import HELD, forget_later

STEP = 500
Decision = Literal["applied", "rejected"]


class AlreadyDecided(Conflict):
    code = "already_decided"
    title = "This was decided already, and otherwise"


class Restored(msgspec.Struct, frozen=True):
    sources: int


async def list_sweeps(
    integration_id: str, *, deps: Deps, workspace: str, before: str | None, limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return await sweeps.history(tx, integration_id, before=before, limit=limit)


async def list_held(
    integration_id: str, *, deps: Deps, workspace: str, before: str | None, limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return await holds.of_integration(tx, integration_id, before=before, limit=limit)


async def read_held(held_id: str, *, deps: Deps, workspace: str, after: str, limit: int) -> tuple[Row, Sequence[Row]]:
    """With a page of the sources that would go."""
    async with deps.db.transaction(workspace) as tx:
        found = await holds.one(tx, held_id)
        if found is None:
            raise NotFound
        return found, await holds.preview(tx, held_id, after=after, limit=limit)


async def decide(held_id: str, decision: Decision, *, deps: Deps, workspace: str, by: str) -> Row:
    """The same word twice is one word; another one is AlreadyDecided. What is approved goes in steps, each its own
    transaction: asked again after a failure, it goes on.
    """
    more = True
    while more:
        async with deps.db.transaction(workspace) as tx:
            found = await _locked(tx, held_id)
            if found["state"] == decision:
                return found
            if found["state"] != "held":
                raise AlreadyDecided(f"these deletions are {found['state']}")
            more = decision == "applied" and await _apply_some(tx, found, deps)
            if not more:
                await holds.decide(tx, held_id, state=decision, by=by)
                await integrations.touch(tx, found["integration_id"])
                await holds.untell(tx, found["integration_id"], code=HELD)
                found = await _held(tx, held_id)
    deps.wakes.report.set()
    return found


async def _locked(tx: Transaction, held_id: str) -> Row:
    """The resource is locked first, as for every writer of its sources."""
    resource_id = await holds.resource_of(tx, held_id)
    if resource_id is None:
        raise NotFound
    await resources.lock_selected(tx, resource_id)
    return await _held(tx, held_id)


async def _held(tx: Transaction, held_id: str) -> Row:
    found = await holds.one(tx, held_id)
    if found is None:
        raise NotFound
    return found


async def _apply_some(tx: Transaction, held: Row, deps: Deps) -> bool:
    """False when nothing is left."""
    found = await holds.to_delete(tx, held["id"], most=STEP + 1)
    missing = found[:STEP]
    days = deps.settings.sync_restore_days
    if days and await buried.bury(tx, held["sweep_id"], [one.id for one in missing], days=days, held_id=held["id"]):
        await forget_later(tx, days)
    rows = [(one.id, one.key) for one in missing]
    deleted = await tombstone_all(tx, _batch(tx, held), rows, "held, and approved")
    await holds.note_deleted(tx, held["id"], [one.id for one in missing], count=deleted)
    await integrations.touch(tx, held["integration_id"], changes=deleted)
    return len(found) > STEP


def _batch(tx: Transaction, about: Row) -> Batch:
    return Batch(
        workspace_id=str(tx.workspace), integration_id=about["integration_id"], resource_id=about["resource_id"],
        provider=about["provider"], stream=about["stream"], cause="sweep",
    )  # fmt: skip


async def restore_held(held_id: str, *, deps: Deps, workspace: str) -> Restored:
    """What was applied comes back; again, it brings what is left of it: nothing."""
    async with deps.db.transaction(workspace) as tx:
        found = await _locked(tx, held_id)
        if found["state"] != "applied":
            raise InvalidState(f"these deletions are {found['state']}: there is nothing to bring back")
    return await _restore(found, Buried(held_id=held_id), deps=deps, workspace=workspace)


async def restore_sweep(sweep_id: str, *, deps: Deps, workspace: str) -> Restored:
    """Everything that this listing deleted and that nobody has seen since."""
    async with deps.db.transaction(workspace) as tx:
        found = await sweeps.one(tx, sweep_id)
        if found is None:
            raise NotFound
    return await _restore(found, Buried(sweep_id=sweep_id), deps=deps, workspace=workspace)


async def _restore(found: Row, of: Buried, *, deps: Deps, workspace: str) -> Restored:
    """In steps, each its own transaction: asked again after a failure, it goes on."""
    total = 0
    while True:
        async with deps.db.transaction(workspace) as tx:
            if not await resources.lock_selected(tx, found["resource_id"]):
                raise InvalidState("its resource is not selected any more")
            ids = await _restorable(tx, found["integration_id"], of, deps, first=not total)
            back = await _bring_back(tx, found["integration_id"], ids)
            if of.held_id is not None:
                await holds.note_restored(tx, of.held_id, back)
            if of.sweep_id is not None:
                await sweeps.note_restored(tx, of.sweep_id, back)
        total += back
        if len(ids) < STEP:
            return Restored(total)


async def _restorable(tx: Transaction, integration_id: str, of: Buried, deps: Deps, *, first: bool) -> list[str]:
    """What no chosen feature pulls stays away: nothing would follow it. FeatureOff when there is nothing else."""
    integration = await known_integration(tx, integration_id)
    types = wanted_types(deps.manifest_of(integration.provider), integration.features)
    ids = await buried.restorable(tx, of, types, most=STEP)
    if first and not ids and await buried.restorable(tx, of, types, most=1, others=True):
        raise FeatureOff
    return ids


async def _bring_back(tx: Transaction, integration_id: str, ids: Sequence[str]) -> int:
    back = await buried.restore(tx, ids) if ids else []
    paths = await changed_files.counts(tx, [one.id for one in back if one.type in WITH_CHANGED_FILES])
    await tx.emit(*(_created(str(tx.workspace), one, paths.get(one.id)) for one in back))
    if back:
        await integrations.touch(tx, integration_id, changes=len(back))
    return len(back)


def _created(workspace: str, one: Back, paths: int | None) -> SourceChanged:
    return SourceChanged(
        workspace_id=workspace, source_id=one.id, integration_id=one.integration_id, resource_id=one.resource_id,
        provider=one.provider, type=one.type, change="created", version=one.version, content_hash=one.content_hash,
        url=one.url, occurred_at=datetime.now(UTC), cause="sweep", changed_paths=paths,
    )  # fmt: skip
