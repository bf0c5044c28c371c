"""The lanes of hints: dirty objects are read again at once, beside any backfill, through the same apply path."""

from __future__ import annotations

import asyncio

import msgspec

from libs.common.errors import (
    CallerMistake,
    DependencyDown,
    GrantFailure,
    LeaseLost,
    PassingFailure,
    ProviderContractBroken,
    RetryAfter,
    SightFailure,
)
from libs.common.events.source import SourceType
from libs.common.provider.sync import Listed
from libs.common.telemetry.tracing import span, use_traceparent
from services.sync.deps import Deps
from services.sync.domain.features import stream_type, wanted_types
from services.sync.domain.plan import Batch
from services.sync.domain.timing import backoff
from services.sync.repository import dirty, integrations, quarantine, resources, sources
from services.sync.repository.dirty import DirtyClaim
from services.sync.repository.integrations import Integration
from services.sync.repository.resources import Stored
from services.sync.use_cases import sweeping
from services.sync.use_cases.apply import apply_batch
from services.sync.workers import parking
from services.sync.workers.grants import Grant
from services.sync.workers.lease import settled, under_lease
from services.sync.workers.pages import Fetched, fetch_from

MOST_KEYS = 50
SOON = 1


class Reading(msgspec.Struct, kw_only=True):
    """A claim with what is needed to read it."""

    claim: DirtyClaim
    integration: Integration
    resource: Stored
    listed: list[Listed]


class DirtyLane:
    """One for all loops of a replica: they claim one after the other, so that each sees what the others hold."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._claiming = asyncio.Lock()

    async def step(self) -> bool:
        async with self._claiming, self._deps.db.queue() as tx:
            claim = await dirty.claim(
                tx, owner=self._deps.owner, lease=self._deps.lease, most=MOST_KEYS, share=self._deps.settings.hint_share
            )
        if claim is None:
            return False
        with use_traceparent(claim.traceparent), span("sync.dirty", resource=claim.resource_id, items=len(claim.keys)):
            await self._keep(claim)
        return True

    async def _keep(self, claim: DirtyClaim) -> None:
        work = under_lease(self._deps, "dirty_object", claim.resource_id, claim.epoch, self._settle(claim))
        await settled(work, crashed=lambda: self._later(claim))

    async def _settle(self, claim: DirtyClaim) -> None:
        try:
            await self._read(claim)
        except RetryAfter as wait:
            await parking.park_hints(self._deps, claim, wait)
        except LeaseLost:
            raise
        except (PassingFailure, DependencyDown):
            await self._later(claim)
        except SightFailure as failure:
            await self._drop(claim, code="lost_sight", detail=failure.detail)
        except (GrantFailure, CallerMistake):
            await self._drop(claim, code=None, detail="")
        except ProviderContractBroken as failure:
            await self._quarantine(claim, code=failure.code, detail=failure.detail)

    async def _read(self, claim: DirtyClaim) -> None:
        reading = await self._open(claim)
        if reading is None:
            await self._drop(claim, code=None, detail="")
            return
        facet = self._deps.facet_of(reading.resource.provider)
        grant = Grant(self._deps, reading.integration, lane="hint")
        grant.work_on(reading.resource)
        fetched = await grant.ask(lambda context: fetch_from(facet, context, reading.listed))
        await grant.capture_unfit(reading.resource, next(iter(claim.keys.values()))[0], fetched.quarantined)
        await self._commit(reading, fetched)

    async def _open(self, claim: DirtyClaim) -> Reading | None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            integration = await integrations.find(tx, claim.integration_id)
            resource = await resources.find(tx, claim.resource_id)
            if integration is None or resource is None or not (integration.works and resource.selected):
                return None
            known = await sources.known(tx, claim.resource_id, list(claim.keys))
        types = {row.key: row.type for row in known.values()}
        listed = [self._listed(key, stream, integration, types.get(key)) for key, (stream, _) in claim.keys.items()]
        return Reading(claim=claim, integration=integration, resource=resource, listed=listed)

    def _listed(self, key: str, stream: str, integration: Integration, known: SourceType | None) -> Listed:
        manifest = self._deps.manifest_of(integration.provider)
        return Listed(key=key, type=known or stream_type(manifest, stream, integration.features), revision="")

    async def _commit(self, reading: Reading, fetched: Fetched) -> None:
        claim, resource = reading.claim, reading.resource
        types = wanted_types(self._deps.manifest_of(resource.provider), reading.integration.features)
        batch = Batch(
            workspace_id=claim.workspace_id, integration_id=claim.integration_id, resource_id=claim.resource_id,
            provider=resource.provider, stream=next(iter(claim.keys.values()))[0], cause="webhook",
            observed=tuple(
                item for item in fetched.observed if item.type in types and resource.takes(item.updated_at)
            ),
            removed=fetched.removed,
            quarantined=fetched.quarantined, streams=_streams(claim), read_after=claim.since,
        )  # fmt: skip
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            selected = await resources.lock_selected(
                tx, claim.resource_id
            )  # before its keys, as where a page marks one
            if not selected or not await dirty.lock(tx, claim):
                raise LeaseLost("these objects are no longer ours to read")
            applied = await apply_batch(tx, batch)
            await quarantine.resolve(tx, claim.resource_id, fetched.settled)
            if applied.held:
                await sweeping.take_off(tx, batch)
            await dirty.finish(tx, claim, keep=applied.stale)
            if applied.changes:
                await integrations.touch(tx, claim.integration_id, changes=applied.changes)

    async def _later(self, claim: DirtyClaim) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            await dirty.postpone(tx, claim, after=backoff(claim.attempts + 1, self._deps.first_retry / 10))

    async def _drop(self, claim: DirtyClaim, *, code: str | None, detail: str) -> None:
        """A hint is only a hint: polls and sweeps find what it said once the resource is visible again."""
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            await resources.lock_selected(tx, claim.resource_id)
            if not await dirty.lock(tx, claim):
                return
            if code:
                await resources.note_failure(
                    tx, claim.resource_id, code=code, detail=detail, state="error", count=False
                )
            await dirty.finish(tx, claim)

    async def _quarantine(self, claim: DirtyClaim, *, code: str, detail: str) -> None:
        batch = Batch(
            workspace_id=claim.workspace_id, integration_id=claim.integration_id, resource_id=claim.resource_id,
            provider="", stream=next(iter(claim.keys.values()))[0], cause="webhook",
            quarantined=dict.fromkeys(claim.keys, (code, detail)), streams=_streams(claim),
        )  # fmt: skip
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            selected = await resources.lock_selected(tx, claim.resource_id)
            if selected and await dirty.lock(tx, claim):
                await apply_batch(tx, batch)
                await dirty.finish(tx, claim)


def _streams(claim: DirtyClaim) -> dict[str, str]:
    """Hints of one resource are read together, whichever streams they name."""
    return {key: stream for key, (stream, _) in claim.keys.items()}
