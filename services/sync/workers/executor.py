"""The executor: claims one resource, pulls its streams page by page, and lets go of it whatever happens."""

from __future__ import annotations

import asyncio
from typing import Literal

from libs.common.errors import (
    AuthExpired,
    CallerMistake,
    DependencyDown,
    GrantFailure,
    LeaseLost,
    PassingFailure,
    ProviderContractBroken,
    RetryAfter,
    SightFailure,
    SluiceError,
)
from libs.common.runtime import Loop
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.tracing import span, use_traceparent
from services.sync.budgets import lane_of
from services.sync.deps import Deps
from services.sync.repository import integrations, leases, resources
from services.sync.repository.leases import Claim
from services.sync.workers import outcomes, parking
from services.sync.workers.grants import Grant
from services.sync.workers.lease import OURS, settled, under_lease
from services.sync.workers.pages import Job, make_job, pull_stream
from services.sync.workers.turns import Turn, Turns

log = get_logger(__name__)

LOOK_EVERY = 0.25
_claims = counter("sync_claims_total", "Resources claimed by the executor", ["outcome"])


class Executor:
    """One worker of many; `step` is one claim. `turns` are those of its replica."""

    kind: Literal["workers"] = "workers"

    def __init__(self, deps: Deps, number: int = 0, turns: Turns | None = None) -> None:
        self.name = f"executor-{number}"
        self._deps = deps
        self._turns = turns or Turns(deps)
        self._next: Turn | None = None
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        self._stop = stop
        idle = LOOK_EVERY * self._deps.settings.sync_workers  # together they look as often as one alone
        await Loop(self.name, self.step, idle, self._deps.wakes.work).run(stop)
        if self._next is not None:
            await outcomes.release(self._deps, self._next.claim)

    async def step(self) -> bool:
        turn, self._next = self._next or await self._claim(), None
        if turn is None:
            return False
        claim = turn.claim
        try:
            with (
                use_traceparent(claim.traceparent),
                span("sync.resource", resource=claim.resource_id, cause=claim.cause),
            ):
                await self._keep(turn)
        finally:
            self._turns.end(turn)
            self._next = turn.next
        return True

    async def _claim(self) -> Turn | None:
        async with self._deps.db.queue() as tx:
            claim = await leases.claim_work(tx, owner=self._deps.owner, lease=self._deps.lease)
        return None if claim is None else self._turns.begin(claim, self._stop)

    async def _keep(self, turn: Turn) -> None:
        claim = turn.claim
        try:
            work = settled(self._settle(turn), crashed=lambda: self._crashed(claim))
            await under_lease(self._deps, "work", claim.resource_id, claim.epoch, work)
        except LeaseLost:
            _claims.labels("lost").inc()
            log.info("lease_lost", resource=claim.resource_id, epoch=claim.epoch)

    async def _crashed(self, claim: Claim) -> None:
        _claims.labels("crashed").inc()
        await outcomes.try_again(self._deps, claim, code="internal", detail=OURS)

    async def _settle(self, turn: Turn) -> None:
        deps, claim = self._deps, turn.claim
        try:
            outcome = await self._pull(turn)
        except RetryAfter as wait:
            outcome = "parked"
            await parking.park_work(deps, claim, wait)
        except DependencyDown:
            outcome = "waiting"
            await outcomes.wait_a_little(deps, claim)
        except LeaseLost:
            raise
        except PassingFailure as failure:
            outcome = "retried"
            await outcomes.try_again(deps, claim, code=failure.code, detail=failure.detail)
        except SightFailure as failure:
            outcome = "lost_sight"
            await outcomes.give_up(deps, claim, code="lost_sight", detail=failure.detail, counts=False)
        except (GrantFailure, ProviderContractBroken, CallerMistake) as failure:
            outcome = "failed"
            await outcomes.give_up(deps, claim, code=failure.code, detail=failure.detail)
            _tell(claim, failure)
        _claims.labels(outcome).inc()

    async def _pull(self, turn: Turn) -> str:
        claim = turn.claim
        job = await self._open(claim)
        if job is None:
            return "dropped"
        whole = self._is_whole(job)
        while streams := self._streams(job):
            if not await self._pull_stream(job, streams[0], turn):
                return await self._stop_between_pages(turn)
        left = await job.grant.left()
        unasked = job.grant.unasked() if whole else frozenset()
        await outcomes.succeed(self._deps, claim, complete=job.complete, left=left, unasked=unasked)
        self._deps.wakes.report.set()
        return "succeeded"

    async def _stop_between_pages(self, turn: Turn) -> str:
        if turn.next is None:
            await outcomes.release(self._deps, turn.claim)
            return "released"
        await outcomes.give_back(self._deps, turn.claim)
        return "passed_on"

    async def _open(self, claim: Claim) -> Job | None:
        async with self._deps.db.transaction(claim.workspace_id) as tx:
            if not await outcomes.begin(tx, claim):
                return None
            integration = await integrations.find(tx, claim.integration_id)
            resource = await resources.find(tx, claim.resource_id)
            streams = await resources.streams(tx, claim.resource_id)
            validators = await resources.validators(tx, claim.resource_id)
        if integration is None or resource is None:
            raise LeaseLost("the integration is gone")
        return make_job(
            self._deps, claim, resource, Grant(self._deps, integration, validators, lane=lane_of(claim.cause)), streams
        )

    def _streams(self, job: Job) -> list[str]:
        """What this request asks for and no earlier owner of it has finished."""
        needed = job.manifest.streams_of(job.grant.integration.features)
        asked = job.claim.streams
        chosen = [stream for stream in needed if asked is None or stream in asked]
        done = {name for name, stored in job.streams.items() if stored.finished_ticket == job.claim.ticket}
        return [stream for stream in chosen if stream not in done]

    def _is_whole(self, job: Job) -> bool:
        """Each stream is looked at from the start of a look to its end: what is asked by then is all that ever is. A
        sweep asks unconditionally."""
        begins = not any(stored.under_way for stored in job.streams.values())
        needed = job.manifest.streams_of(job.grant.integration.features)
        return begins and job.claim.kind != "sweep" and set(self._streams(job)) == set(needed)

    async def _pull_stream(self, job: Job, stream: str, turn: Turn) -> bool:
        try:
            return await pull_stream(self._deps, job, stream, turn)
        except AuthExpired as refusal:
            await job.grant.renew(refusal)
            return await pull_stream(self._deps, job, stream, turn)


def _tell(claim: Claim, failure: SluiceError) -> None:
    log.warning(
        "resource_failed", resource=claim.resource_id, integration=claim.integration_id, code=failure.code,
        error_detail=failure.detail,
    )  # fmt: skip
