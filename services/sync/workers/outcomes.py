"""How a piece of work ended, as rows: done, parked, tried again later, or given up; each in one transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from libs.common.database.transaction import Transaction
from libs.common.ids import new_id
from libs.common.provider.client import Budget
from services.sync.deps import Deps
from services.sync.domain.timing import MOST_ATTEMPTS, backoff
from services.sync.repository import integrations, leases, resources, runs
from services.sync.repository.leases import Claim
from services.sync.use_cases import sweeping
from services.sync.use_cases.quarantine import retry_due
from services.sync.use_cases.runs import begin_resource, settle_run
from services.sync.use_cases.scheduling import note_look

SOON = timedelta(seconds=1)
FEW_UNASKED = 50


async def begin(tx: Transaction, claim: Claim) -> bool:
    """False when the work is not ours any more, or its resource is not wanted."""
    if claim.run_id:
        await begin_resource(
            tx, run_id=claim.run_id, resource_id=claim.resource_id, integration_id=claim.integration_id
        )
    if not await leases.holds_work(tx, claim):
        return False
    if await resources.lock_selected(tx, claim.resource_id):
        await resources.set_state(tx, claim.resource_id, "syncing")
        return True
    await leases.forget_resource(tx, claim.resource_id)
    return False


async def succeed(
    deps: Deps, claim: Claim, *, complete: bool, left: Budget | None = None, unasked: Collection[str] = ()
) -> None:
    """`left` of the provider's budget, where it is known: the next look is planned within it. `unasked` validators are
    forgotten, once there are more than a few: a look in which nothing changed writes nothing.
    """
    async with deps.db.transaction(claim.workspace_id) as tx:
        if not await _lock(tx, claim):
            return
        await resources.lock_selected(tx, claim.resource_id)  # before its schedule, as for everybody
        again = await leases.finish_work(tx, claim, next_ticket=new_id())
        whole = await note_look(tx, claim, deps.manifest_of, left)
        await resources.note_success(tx, claim.resource_id, complete=complete and whole)
        await _note_in_run(tx, claim, state="queued" if again == claim.run_id else "succeeded")
        await integrations.touch(tx, claim.integration_id, polled=True)
        await integrations.note_success(tx, claim.integration_id)
        await sweeping.tell_held(tx, claim.integration_id, claim.resource_id)
        if len(unasked) > FEW_UNASKED:
            await resources.forget_validators(tx, claim.resource_id, unasked)
        retried = await retry_due(tx, claim.integration_id, claim.resource_id)
    if retried:
        deps.wakes.dirty.set()
    if again is not None:
        deps.wakes.work.set()


async def release(deps: Deps, claim: Claim) -> None:
    """An ordered stop: the next owner may go on at once."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        if await _lock(tx, claim):
            await leases.postpone_work(tx, claim, after=timedelta(), count=False)
            await _note_in_run(tx, claim, state="queued")


async def give_back(deps: Deps, claim: Claim) -> None:
    """Somebody else's turn: nothing failed, and the run goes on as soon as a worker is free."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        if await _lock(tx, claim):
            await leases.postpone_work(tx, claim, after=timedelta(), count=False)
    deps.wakes.work.set()


async def wait_a_little(deps: Deps, claim: Claim) -> None:
    """A part of ours is away: no fault of the provider's, so it is not counted."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        if await _lock(tx, claim):
            await leases.postpone_work(tx, claim, after=SOON, count=False)


async def try_again(deps: Deps, claim: Claim, *, code: str, detail: str) -> None:
    """A passing failure: later and later, and after the last try given up until the next poll or request."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        await _lock(tx, claim)
        attempts = await leases.attempts_of(tx, claim)
        if attempts is None:
            return
        if attempts + 1 >= MOST_ATTEMPTS:
            await _give_up(tx, claim, code=code, detail=detail)
            return
        await leases.postpone_work(tx, claim, after=backoff(attempts + 1, deps.first_retry), count=True)
        await _note_in_run(tx, claim, state="queued", code=code, detail=detail)
        await _tell_failure(tx, claim, code=code, detail=detail, state="waiting")


async def give_up(deps: Deps, claim: Claim, *, code: str, detail: str, counts: bool = True) -> None:
    """`counts` False: an access problem of one resource says nothing about the integration."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        if await _lock(tx, claim):
            await _give_up(tx, claim, code=code, detail=detail, counts=counts)


async def _give_up(tx: Transaction, claim: Claim, *, code: str, detail: str, counts: bool = True) -> None:
    await leases.forget_work(tx, claim)
    await _tell_failure(tx, claim, code=code, detail=detail, state="error", counts=counts)
    await _note_in_run(tx, claim, state="failed", code=code, detail=detail)


async def _lock(tx: Transaction, claim: Claim) -> bool:
    """The run before the work, as everywhere."""
    if claim.run_id:
        await runs.lock(tx, claim.run_id)
    return await leases.holds_work(tx, claim)


async def _note_in_run(
    tx: Transaction, claim: Claim, *, state: str, code: str | None = None, detail: str | None = None
) -> None:
    if claim.run_id:
        await runs.set_resource(
            tx, claim.run_id, claim.resource_id, state=state, error_code=code, error=detail, attempt=code is not None
        )
        await settle_run(tx, claim.run_id)


async def _tell_failure(
    tx: Transaction, claim: Claim, *, code: str, detail: str, state: str, counts: bool = True
) -> None:
    failures = await resources.note_failure(tx, claim.resource_id, code=code, detail=detail, state=state, count=counts)
    if counts:
        await integrations.note_failure(tx, claim.integration_id, failures=failures, code=code, detail=detail)
