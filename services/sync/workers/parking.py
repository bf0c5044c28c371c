"""Work that may not call now: it waits without a worker, and so does all that spends of the same budget."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.errors import BreakerOpen, RateLimited, RetryAfter
from services.sync.deps import Deps
from services.sync.repository import dirty, leases, resources, runs
from services.sync.repository.dirty import DirtyClaim
from services.sync.repository.leases import Claim
from services.sync.use_cases.runs import park_integration

NOBODY = -1  # no lease has this epoch: what somebody works on is not taken from him
SOON = timedelta(milliseconds=100)
LONGEST = timedelta(hours=24)  # a provider that asks for a year is asked again tomorrow


def end_of(deps: Deps, wait: RetryAfter) -> datetime:
    return min(wait.until, deps.clock.now() + LONGEST)


async def park_work(deps: Deps, claim: Claim, wait: RetryAfter) -> None:
    """Uncounted: nothing failed. A breaker is told as the reason; a limit is no error."""
    async with deps.db.transaction(claim.workspace_id) as tx:
        await runs.active_of(tx, claim.integration_id)  # locked before the work, also when another run asked for it
        if not await leases.holds_work(tx, claim):
            return
        if _is_alone(wait):
            await leases.postpone_work(tx, claim, after=_after(deps, wait), count=False)
            return
        await park_integration(tx, claim.integration_id, end_of(deps, wait), epoch=claim.epoch)
        await resources.set_state(tx, claim.resource_id, "parked")
        if isinstance(wait, BreakerOpen):
            told = {"code": wait.code, "detail": wait.detail}
            await resources.note_failure(tx, claim.resource_id, **told, state="parked", count=False)
            if claim.run_id:
                await runs.note_reason(tx, claim.run_id, claim.resource_id, **told)
    await _park_sharers(deps, claim.integration_id, wait)


async def park_hints(deps: Deps, claim: DirtyClaim, wait: RetryAfter) -> None:
    async with deps.db.transaction(claim.workspace_id) as tx:
        if _is_alone(wait):
            await dirty.postpone(tx, claim, after=_after(deps, wait), count=False)
            return
        await park_integration(tx, claim.integration_id, end_of(deps, wait), epoch=claim.epoch)
    await _park_sharers(deps, claim.integration_id, wait)


async def _park_sharers(deps: Deps, integration_id: str, wait: RetryAfter) -> None:
    """Other integrations of the account, each in its own workspace: they need not ask to learn the same."""
    if deps.gates is None:
        return
    for other in await deps.gates.budgets.sharers_to_tell(integration_id, end_of(deps, wait)):
        workspace = await deps.db.locate("known_integration", other)
        if workspace is not None:
            async with deps.db.transaction(workspace) as tx:
                await park_integration(tx, other, end_of(deps, wait), epoch=NOBODY)


def _is_alone(wait: RetryAfter) -> bool:
    return isinstance(wait, RateLimited) and wait.alone


def _after(deps: Deps, wait: RetryAfter) -> timedelta:
    return max(end_of(deps, wait) - deps.clock.now(), SOON)
