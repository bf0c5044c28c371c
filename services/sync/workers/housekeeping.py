"""The small lanes: telling observed state, and clearing away what is no longer wanted."""

from __future__ import annotations

from datetime import timedelta

from libs.common.database.transaction import Transaction
from libs.common.events.sync import SyncStateChanged
from services.sync.deps import Deps
from services.sync.domain.features import wanted_types
from services.sync.domain.plan import Batch
from services.sync.repository import changed_files, cleanups, erasing, heard, integrations, resources, sources
from services.sync.repository.cleanups import CleanupClaim
from services.sync.use_cases.apply import tombstone_all
from services.sync.use_cases.relabelling import readdress_some
from services.sync.use_cases.sweeping import forget_expired

REPORTS = 100
STEP = 500


class Reporter:
    """Absolute values with a version: many changes in between are one report."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def step(self) -> bool:
        async with self._deps.db.queue() as tx:
            waiting = await integrations.unreported(tx, most=REPORTS)
        for integration_id, workspace in waiting:
            await self._report(integration_id, workspace)
        return bool(waiting)

    async def _report(self, integration_id: str, workspace: str) -> None:
        async with self._deps.db.transaction(workspace) as tx:
            row = await integrations.take_unreported(tx, integration_id)
            if row is not None:
                await tx.emit(SyncStateChanged(workspace_id=workspace, integration_id=integration_id, **dict(row)))


class Cleanup:
    """In batches, each its own transaction: what is done stays done when this process dies."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def step(self) -> bool:
        async with self._deps.db.queue() as tx:
            claim = await cleanups.claim(tx, owner=self._deps.owner, lease=self._deps.lease)
        if claim is None:
            return False
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            if not await cleanups.hold(tx, claim):
                return True
            left = await self._some(tx, claim)
            wait = timedelta(seconds=1) if left == "waiting" else timedelta()
            await cleanups.release(tx, claim, done=left == "done", after=wait)
        return left != "waiting"

    async def _some(self, tx: Transaction, claim: CleanupClaim) -> str:
        """`more`, `waiting` or `done`."""
        if claim.kind == "erase":
            return await _erase_some(tx)
        if claim.kind == "expired":
            return "more" if await forget_expired(tx) else "done"
        if claim.kind == "readdress":
            return "more" if await readdress_some(tx, claim) else "done"
        types = await self._unwanted(tx, claim)
        if (types is not None and not types) or await _is_wanted_again(tx, claim):
            return "done"
        if await self._forget_pushes(tx, claim):
            return "more"
        rows = await sources.some_live(
            tx, integration_id=claim.integration_id, resource_id=claim.resource_id, types=types, most=STEP
        )
        await _tombstone(tx, claim, rows)
        if len(rows) == STEP:
            return "more"
        if claim.kind == "remove":
            if await heard.forget_integration(tx, claim.integration_id):
                return "more"
            await erasing.remove_integration(tx, claim.integration_id)
            self._deps.tokens.forget(claim.integration_id)
        return "done"

    async def _forget_pushes(self, tx: Transaction, claim: CleanupClaim) -> bool:
        """Whole resources lose theirs; types that go take the pushes of streams that no feature pulls any more."""
        kept = None if claim.types is None else await self._pulled_streams(tx, claim)
        return await changed_files.forget_some(
            tx, integration_id=claim.integration_id, resource_id=claim.resource_id, kept_streams=kept
        )

    async def _pulled_streams(self, tx: Transaction, claim: CleanupClaim) -> tuple[str, ...]:
        integration = await integrations.find(tx, claim.integration_id)
        if integration is None:
            return ()
        return self._deps.manifest_of(integration.provider).streams_of(integration.features)

    async def _unwanted(self, tx: Transaction, claim: CleanupClaim) -> list[str] | None:
        """Of the types to drop, those that no feature wants even now; None when all types go."""
        if claim.types is None:
            return None
        integration = await integrations.find(tx, claim.integration_id)
        if integration is None:
            return []
        wanted = wanted_types(self._deps.manifest_of(integration.provider), integration.features)
        return [kind for kind in claim.types if kind not in wanted]


async def _is_wanted_again(tx: Transaction, claim: CleanupClaim) -> bool:
    """Chosen again before it was cleared away: what is left of it stays."""
    return claim.kind == "resource" and await resources.lock_selected(tx, claim.resource_id)


async def _tombstone(tx: Transaction, claim: CleanupClaim, rows: list[sources.Live]) -> None:
    proofs = {"remove": "disconnected", "types": "feature switched off", "resource": "deselected"}
    for resource_id in dict.fromkeys(row.resource_id for row in rows):
        of_resource = [row for row in rows if row.resource_id == resource_id]
        batch = Batch(
            workspace_id=claim.workspace_id, integration_id=claim.integration_id, resource_id=resource_id,
            provider=of_resource[0].provider, stream="", cause="manual",
        )  # fmt: skip
        gone = await tombstone_all(tx, batch, [(row.id, row.key) for row in of_resource], proofs[claim.kind])
        if claim.kind != "remove" and gone:
            await integrations.touch(tx, claim.integration_id, changes=gone)


async def _erase_some(tx: Transaction) -> str:
    if await erasing.erase_some(tx):
        return "more"
    return "waiting" if await erasing.unpublished(tx) else "done"
