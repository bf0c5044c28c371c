"""Finding what to sync after a connect: the named resources, or the most recently active ones of the grant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from libs.common.database.transaction import Transaction
from libs.common.errors import (
    CallerMistake,
    DependencyDown,
    GrantFailure,
    InvalidInput,
    LeaseLost,
    PassingFailure,
    ProviderContractBroken,
    RetryAfter,
    SightFailure,
)
from libs.common.provider.sync import Cursor, Resource, SyncContext, SyncFacet
from libs.common.telemetry.tracing import span, use_traceparent
from services.sync.deps import Deps
from services.sync.domain.timing import MOST_ATTEMPTS, backoff
from services.sync.repository import discoveries, integrations, runs
from services.sync.repository.discoveries import DiscoveryClaim
from services.sync.repository.integrations import Integration
from services.sync.use_cases.picking import select_resource
from services.sync.use_cases.runs import add_to_run, fail_run, settle_run
from services.sync.use_cases.scheduling import Occasion, plan
from services.sync.workers.grants import Grant
from services.sync.workers.lease import OURS, settled, under_lease
from services.sync.workers.parking import end_of

SOON = timedelta(seconds=1)
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
NOT_VISIBLE = "not_visible"


class Discovery:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def step(self) -> bool:
        async with self._deps.db.queue() as tx:
            claim = await discoveries.claim(tx, owner=self._deps.owner, lease=self._deps.lease)
        if claim is None:
            return False
        with use_traceparent(claim.traceparent), span("sync.discovery", integration=claim.integration_id):
            await self._keep(claim)
        return True

    async def _keep(self, claim: DiscoveryClaim) -> None:
        work = under_lease(self._deps, "discovery", claim.integration_id, claim.epoch, self._settle(claim))
        await settled(work, crashed=lambda: self._again(claim, code="internal", detail=OURS))

    async def _settle(self, claim: DiscoveryClaim) -> None:
        try:
            await self._discover(claim)
        except RetryAfter as wait:
            await self._park(claim, end_of(self._deps, wait))
        except DependencyDown:
            await self._postpone(claim, after=SOON)
        except LeaseLost:
            raise
        except PassingFailure as failure:
            await self._again(claim, code=failure.code, detail=failure.detail)
        except (GrantFailure, SightFailure, ProviderContractBroken, CallerMistake) as failure:
            await self._fail(claim, code=failure.code, detail=failure.detail)

    async def _discover(self, claim: DiscoveryClaim) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            integration = await integrations.find(tx, claim.integration_id)
        if integration is None:
            raise LeaseLost("the integration is gone")
        grant = Grant(self._deps, integration)
        if claim.resources:
            found, missing = await self._named(grant, integration, claim.resources)
        else:
            found, missing = await grant.ask(lambda context: self._default(context, integration)), []
        await self._select(claim, integration, found, missing)

    async def _named(
        self, grant: Grant, integration: Integration, references: tuple[str, ...]
    ) -> tuple[list[Resource], list[str]]:
        """A reference that names nothing visible is told in the run; the others go on."""
        facet = self._deps.facet_of(integration.provider)
        found, missing = [], []
        for reference in references:
            try:
                found.append(await grant.ask(partial(_find, facet, reference)))
            except (SightFailure, InvalidInput) as error:
                missing.append(f"{reference}: {error.detail}")
        return found, missing

    async def _default(self, context: SyncContext, integration: Integration) -> list[Resource]:
        facet = self._deps.facet_of(integration.provider)
        most = self._deps.manifest_of(integration.provider).default_resources
        found: list[Resource] = []
        cursor: Cursor | None = None
        while len(found) < most:
            page = await facet.discover(context, cursor)
            found += [resource for resource in page.items if not resource.dormant]
            cursor = page.next_cursor
            if cursor is None:
                break
        found.sort(key=lambda resource: resource.last_active_at or OLDEST, reverse=True)
        return found[:most]

    async def _select(
        self, claim: DiscoveryClaim, integration: Integration, found: list[Resource], missing: list[str]
    ) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            run = await runs.lock(tx, claim.run_id)
            if run is None or not await discoveries.finish(tx, claim):
                raise LeaseLost("another owner discovers this integration")
            chosen = [await select_resource(tx, integration, resource) for resource in found]
            await runs.set_discovering(tx, claim.run_id, discovering=False)
            unseen = "; ".join(missing)[:500]
            if missing and not chosen:
                await _end(tx, claim, code=NOT_VISIBLE, detail=unseen)
                return
            ids = [one.id for one in chosen]
            await add_to_run(tx, integration, claim.run_id, ids)
            await plan(tx, integration, self._deps.manifest_of(integration.provider), Occasion(base="kept", only=ids))
            await integrations.note_success(tx, integration.id)  # of finding them; what they fail with is their own
            if missing:
                await runs.note_error(tx, claim.run_id, code=NOT_VISIBLE, detail=unseen)
                await integrations.note_failure(tx, integration.id, failures=0, code=NOT_VISIBLE, detail=unseen)
            await settle_run(tx, claim.run_id)
        self._deps.wakes.work.set()

    async def _park(self, claim: DiscoveryClaim, until: datetime) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            await runs.lock(tx, claim.run_id)
            if await discoveries.postpone(tx, claim, after=max(until - self._deps.clock.now(), SOON), count=False):
                await runs.park(tx, claim.run_id, until)

    async def _postpone(self, claim: DiscoveryClaim, *, after: timedelta) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            await discoveries.postpone(tx, claim, after=after, count=False)

    async def _again(self, claim: DiscoveryClaim, *, code: str, detail: str) -> None:
        if claim.attempts + 1 >= MOST_ATTEMPTS:
            await self._fail(claim, code=code, detail=detail)
            return
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            after = backoff(claim.attempts + 1, self._deps.first_retry)
            await discoveries.postpone(tx, claim, after=after, count=True)
            await integrations.note_failure(
                tx, claim.integration_id, failures=claim.attempts + 1, code=code, detail=detail
            )

    async def _fail(self, claim: DiscoveryClaim, *, code: str, detail: str) -> None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            run = await runs.lock(tx, claim.run_id)
            if run is None or not await discoveries.finish(tx, claim):
                return
            await _end(tx, claim, code=code, detail=detail)


async def _end(tx: Transaction, claim: DiscoveryClaim, *, code: str, detail: str) -> None:
    await fail_run(tx, claim.run_id, code=code, detail=detail)
    await integrations.note_failure(tx, claim.integration_id, failures=claim.attempts + 1, code=code, detail=detail)


async def _find(facet: SyncFacet, reference: str, context: SyncContext) -> Resource:
    return await facet.find(context, reference)
