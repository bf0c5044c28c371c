"""Finds what the provider could not deliver while we were away, and has it sent again: one at a time, a few times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import (
    PassingFailure,
    ProviderContractBroken,
    ResourceGone,
    RetryAfter,
    SluiceError,
)
from libs.common.jobs import run_later
from libs.common.provider.client import Budget
from libs.common.provider.manifest import WebhookScheme
from libs.common.provider.webhooks import Missed, RedeliveringFacet
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.providers import registry
from services.webhooks.deps import BudgetedHttp, Deps
from services.webhooks.domain import next_look_before, rests_until
from services.webhooks.repository import missed
from services.webhooks.use_cases.lending import ask_provider, resource_of
from services.webhooks.use_cases.receive import scheme_of

log = get_logger(__name__)

LOOK_FOR_MISSED = "look_for_missed"
ASK_FOR_MISSED = "ask_for_missed"
MOST = 1000
MOST_ASKED = 3  # times that one delivery is asked for, each after a newer attempt failed
OVERLAP = timedelta(minutes=5)  # an attempt that was under way at the last look, and clocks that differ
LOOK_AGAIN = timedelta(hours=1)
_missed = counter("webhook_missed_total", "Deliveries that failed at the provider", ["provider", "outcome"])


async def review_missed(*, deps: Deps, started: datetime) -> bool:
    """A hook is due when it was not looked through for long, or not since this process `started`: something may have
    failed while nobody was here. Always False, as `review_hooks`.
    """
    now = deps.clock.now()
    before = next_look_before(now, started=started, every=timedelta(minutes=deps.settings.missed_check_minutes))
    async with deps.db.queue() as tx:
        for row in await missed.due_looks(tx, before=before, now=now, most=MOST):
            payload = {"subscription_id": row["id"], "before": before.isoformat()}
            await run_later(tx, LOOK_FOR_MISSED, row["id"], payload, now, workspace=row["workspace_id"])
    return False


async def look_for_missed(*, deps: Deps, workspace: str, subscription_id: str, before: datetime) -> None:
    """Nothing if somebody looked since `before`. What a person must mend is written down and looked at again later;
    what passes by itself is raised too, so that the job comes again.
    """
    async with deps.db.transaction(workspace) as tx:
        look = await missed.look_work(tx, subscription_id)
        if look is None or (look["looked_at"] is not None and look["looked_at"] >= before):
            return
        facet = _facet_of(look)
        if facet is None:
            await missed.look_never(tx, subscription_id)
            return
    try:
        await _look(deps, look, facet)
    except SluiceError as error:
        await _note_no_look(deps, look, error)
        if isinstance(error, PassingFailure):
            raise


async def ask_for_missed(*, deps: Deps, workspace: str, integration_id: str) -> None:
    """One delivery, and a job for the next: writes of one account have a pause between them."""
    async with deps.db.transaction(workspace) as tx:
        wanted = await missed.next_missed(tx, integration_id, now=deps.clock.now(), most_asked=MOST_ASKED)
    if wanted is None:
        return
    pause = timedelta(seconds=_scheme(wanted).missed_pause_seconds)
    try:
        budget = await _ask(deps, wanted)
    except (ResourceGone, ProviderContractBroken) as error:
        log.warning("delivery_not_sent_again", subscription_id=wanted["id"], code=error.code)
        _missed.labels(wanted["provider"], error.code).inc()
        budget = None
    except PassingFailure:
        raise
    except SluiceError as error:
        await _note_no_look(deps, wanted, error)
        await _ask_on(deps, wanted, pause)
        return
    await _ask_on(deps, wanted, pause, asked=True, budget=budget)


def _facet_of(row: Row) -> RedeliveringFacet | None:
    facet = registry.facet(row["provider"], "webhooks")
    return facet if _scheme(row).missed_hours and isinstance(facet, RedeliveringFacet) else None


def _scheme(row: Row) -> WebhookScheme:
    return scheme_of(registry.manifest(row["provider"]))


async def _look(deps: Deps, look: Row, facet: RedeliveringFacet) -> None:
    began = deps.clock.now()
    kept_since = began - timedelta(hours=_scheme(look).missed_hours)
    since = max(look["looked_at"] - OVERLAP, kept_since) if look["looked_at"] else kept_since

    async def listed(http: BudgetedHttp) -> tuple[Sequence[Missed], Budget | None]:
        return await facet.missed(http, resource_of(look), look["hook_id"], since), http.budget

    found, budget = await ask_provider(deps, look, listed)
    async with deps.db.transaction(look["workspace_id"]) as tx:
        new = await missed.note_missed(tx, look, found)
        await missed.note_look(tx, look["id"], looked_at=began, kept_since=kept_since)
        await _ask_later(tx, look["integration_id"], rests_until(budget) or began)
    _missed.labels(look["provider"], "found").inc(new)


async def _ask(deps: Deps, wanted: Row) -> Budget | None:
    facet = _facet_of(wanted)
    if facet is None:
        raise ProviderContractBroken(f"{wanted['provider']} no longer sends anything again")

    async def ask(http: BudgetedHttp) -> Budget | None:
        await facet.redeliver(http, resource_of(wanted), wanted["hook_id"], wanted["attempt"])
        return http.budget

    budget = await ask_provider(deps, wanted, ask)
    _missed.labels(wanted["provider"], "asked").inc()
    return budget


async def _ask_on(
    deps: Deps, wanted: Row, pause: timedelta, *, asked: bool = False, budget: Budget | None = None
) -> None:
    now = deps.clock.now()
    async with deps.db.transaction(wanted["workspace_id"]) as tx:
        if asked:
            await missed.mark_asked(tx, wanted, at=now)
        await _ask_later(tx, wanted["integration_id"], rests_until(budget) or now + pause)


async def _ask_later(tx: Transaction, integration_id: str, at: datetime) -> None:
    await run_later(tx, ASK_FOR_MISSED, integration_id, {"integration_id": integration_id}, at)


async def _note_no_look(deps: Deps, look: Row, error: SluiceError) -> None:
    async with deps.db.transaction(look["workspace_id"]) as tx:
        again_at = error.until if isinstance(error, RetryAfter) else deps.clock.now() + LOOK_AGAIN
        await missed.note_no_look(tx, look["id"], again_at=again_at, code=error.code, detail=error.detail)
