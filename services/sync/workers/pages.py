"""From a page of the provider to one transaction: nothing is held open while the provider is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import cast

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.errors import LeaseLost, ProviderContractBroken
from libs.common.events.source import SourceType
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import (
    Gone,
    Item,
    Listed,
    Observed,
    Page,
    PartSeen,
    Pushed,
    Quarantined,
    Removed,
    SyncContext,
    SyncFacet,
)
from libs.common.telemetry.tracing import span
from libs.common.testing.crashpoints import crashpoint
from services.sync.deps import Deps
from services.sync.domain.features import wanted_types
from services.sync.domain.plan import Batch
from services.sync.repository import dirty, leases, progress, resources, sources
from services.sync.repository.leases import Claim
from services.sync.repository.progress import Progress
from services.sync.repository.resources import Saved, Stored, Stream
from services.sync.repository.runs import Counts
from services.sync.repository.sweeps import Listing
from services.sync.use_cases import sweeping
from services.sync.use_cases.apply import Applied, apply_batch
from services.sync.use_cases.relabelling import follow_label
from services.sync.use_cases.sweeping import Absent, TooManyAtOnce
from services.sync.workers.ahead import Ahead
from services.sync.workers.grants import Grant
from services.sync.workers.pulled import Pulled
from services.sync.workers.turns import Turn

SLICE = 100  # objects fetched and committed together: a failure in a page of thousands loses no more than this


class Job(msgspec.Struct, kw_only=True):
    """One claimed resource and all that its pages need. `read_after` is the database's time before the page was asked
    for, `moment` the newest such time that we know, `began` the one before the pull of the stream.

    `listings` are the whole listings under way, `swept` the streams that were listed whole: once is enough.
    """

    claim: Claim
    resource: Stored
    manifest: Manifest
    facet: SyncFacet
    grant: Grant
    streams: dict[str, Stream]
    types: frozenset[SourceType]
    read_after: datetime
    began: datetime
    moment: datetime
    complete: bool = True
    listings: dict[str, Listing] = {}
    swept: set[str] = msgspec.field(default_factory=set)

    def takes(self, item: Observed | Listed) -> bool:
        return item.type in self.types and self.resource.takes(item.updated_at)


class Fetched(msgspec.Struct, kw_only=True):
    """`settled`: asked keys that were answered, be it by another object that holds them."""

    observed: list[Observed] = []
    removed: dict[str, str] = {}
    quarantined: dict[str, tuple[str, str]] = {}
    settled: list[str] = []


def make_job(deps: Deps, claim: Claim, resource: Stored, grant: Grant, streams: dict[str, Stream]) -> Job:
    grant.work_on(resource)
    manifest = deps.manifest_of(resource.provider)
    return Job(
        claim=claim, resource=resource, manifest=manifest, facet=deps.facet_of(resource.provider), grant=grant,
        streams=streams, types=wanted_types(manifest, grant.integration.features), read_after=claim.since,
        began=claim.since,
        moment=claim.since,
    )  # fmt: skip


async def pull_stream(deps: Deps, job: Job, stream: str, turn: Turn) -> bool:
    """Pulls and commits pages until the last; False when the turn is over between two of them."""
    try:
        return await _pull_pages(deps, job, stream, turn)
    except ProviderContractBroken as failure:
        await job.grant.capture(job.resource, stream, code=failure.code, detail=failure.detail)
        raise


async def _pull_pages(deps: Deps, job: Job, stream: str, turn: Turn) -> bool:
    stored = job.streams.get(stream)
    job.began = job.moment
    full = job.claim.kind == "sweep" and stream not in job.swept
    context = await job.grant.context(hinted=_hinted(job.claim, stream), full=full)
    pages = cast("AsyncGenerator[Page, None]", job.facet.pull(context, stream, stored.cursor if stored else None))
    async with _ahead(deps, job, pages) as ahead:
        while True:
            pulled = await ahead.take()
            job.read_after, page = pulled.since, pulled.page
            crashpoint("sync.page_pulled")
            ahead.goes_on = not (page.last or await turn.is_nearly_over())
            with span("sync.page", resource=job.resource.id, name=stream, items=len(page.items)):
                await take_page(deps, job, stream, pulled, ahead)
            crashpoint("sync.page_committed")
            if page.last:
                return True
            if turn.is_stopped or (ahead.is_empty and await turn.is_over()):
                return False


def _ahead(deps: Deps, job: Job, pages: AsyncGenerator[Page, None]) -> Ahead:
    """After a failure pages are committed one by one: those before the one that cannot be are not held up by it."""
    return Ahead(
        pages, deps.settings.sync_page_seconds, moment=lambda: job.moment, used=job.grant.used,
        joins=job.claim.attempts == 0,
    )  # fmt: skip


def _hinted(claim: Claim, stream: str) -> bool:
    """A hint asked for this stream and for nothing else."""
    return claim.cause == "webhook" and set(claim.streams or ()) == {stream}


async def take_page(deps: Deps, job: Job, stream: str, pulled: Pulled, ahead: Ahead) -> None:
    """Objects that the page only listed are fetched first; from then on nothing of it needs the provider."""
    page = pulled.page
    unfit = {item.key: (item.code, item.detail) for item in page.items if isinstance(item, Quarantined)}
    await job.grant.capture_unfit(job.resource, stream, unfit)
    doubtful = await _enter_listing(deps, job, stream, page)
    listed = [item for item in page.items if isinstance(item, Listed)]
    unchanged, wanted = await _compare(deps, job, listed)
    wanted += doubtful
    for at in range(0, max(len(wanted) - SLICE, 0), SLICE):
        fetched = await fetch(job, stream, wanted[at : at + SLICE])
        await _commit_slice(deps, job, stream, fetched)
    rest = wanted[(len(wanted) - 1) // SLICE * SLICE :] if wanted else []
    fetched = await fetch(job, stream, rest)
    if wanted:
        pulled = msgspec.structs.replace(pulled, used=pulled.used + job.grant.used())
    ahead.ask()
    try:
        await _commit_page(deps, job, stream, pulled, fetched, unchanged)
    except TooManyAtOnce as proved:
        for part in proved.absent.slices():
            await _delete_slice(deps, job, stream, part)
            crashpoint("sync.slice_deleted")
        await _commit_page(deps, job, stream, pulled, fetched, unchanged)


async def _enter_listing(deps: Deps, job: Job, stream: str, page: Page) -> list[Listed]:
    """Opens the whole listing that this page belongs to; answers what its last page leaves in doubt."""
    known = job.listings.get(stream)
    if page.full_listing is None or (known and known.listing == page.full_listing and page.certificate is None):
        return []
    async with deps.db.transaction(job.resource.workspace_id) as tx:
        await _hold(tx, job)
        listing = await sweeping.begin(tx, _batch(job, stream, (), Fetched()), page.full_listing, known)
        doubtful = await sweeping.doubtful(tx, listing, page, deps.settings)
    job.listings[stream] = listing
    return doubtful


async def _compare(deps: Deps, job: Job, listed: Sequence[Listed]) -> tuple[int, list[Listed]]:
    """How many stand as stored, and those that differ. A short read of its own: nothing is held while fetching."""
    relevant = [item for item in listed if job.takes(item)]
    if not relevant:
        return 0, []
    async with deps.db.transaction(job.resource.workspace_id) as tx:
        stored = await sources.revisions(tx, job.resource.id, [item.key for item in relevant])
    wanted = [item for item in relevant if stored.get(item.key) != item.revision]
    return len(relevant) - len(wanted), wanted


async def fetch(job: Job, stream: str, listed: Sequence[Listed]) -> Fetched:
    if not listed:
        return Fetched()
    fetched = await fetch_from(job.facet, await job.grant.context(), listed)
    await job.grant.capture_unfit(job.resource, stream, fetched.quarantined)
    return fetched


async def fetch_from(facet: SyncFacet, context: SyncContext, listed: Sequence[Listed]) -> Fetched:
    """Raises ProviderContractBroken when the facet does not answer each asked key."""
    answers = await facet.fetch(context, listed)
    if len(answers) != len(listed):
        raise ProviderContractBroken(f"asked for {len(listed)} objects, {len(answers)} answers came")
    found = Fetched()
    for asked, answer in zip(listed, answers, strict=True):
        if not isinstance(answer, Quarantined):
            found.settled.append(asked.key)
        if isinstance(answer, Observed):
            renamed = asked.previous_key if answer.previous_key is None else answer.previous_key
            found.observed.append(msgspec.structs.replace(answer, previous_key=renamed))
        elif isinstance(answer, Gone):
            found.removed[answer.key] = answer.proof
        else:
            found.quarantined[answer.key] = (answer.code, answer.detail)
    return found


def _batch(job: Job, stream: str, items: Iterable[Item], fetched: Fetched) -> Batch:
    """Of the page and of what was fetched for it. Types that no chosen feature needs are left out."""
    listed = list(items)
    observed = [*(item for item in listed if isinstance(item, Observed)), *fetched.observed]
    quarantined = {item.key: (item.code, item.detail) for item in listed if isinstance(item, Quarantined)}
    removed = {item.key: item.proof for item in listed if isinstance(item, Removed)}
    return Batch(
        workspace_id=job.resource.workspace_id,
        integration_id=job.resource.integration_id,
        resource_id=job.resource.id,
        provider=job.resource.provider,
        stream=stream,
        cause="sweep" if job.claim.kind == "sweep" else job.claim.cause,
        observed=tuple(item for item in observed if job.takes(item)),
        parts=tuple(item for item in listed if isinstance(item, PartSeen)),
        removed=removed | fetched.removed,
        quarantined=quarantined | fetched.quarantined,
        unnamed=frozenset(item.key for item in listed if isinstance(item, Quarantined) and not item.by_key),
        pushes=tuple(item for item in listed if isinstance(item, Pushed)),
        read_after=job.read_after,
    )


async def _commit_slice(deps: Deps, job: Job, stream: str, fetched: Fetched) -> None:
    """Objects of a page before the page: its cursor is not moved, and what is stored is not fetched again."""
    batch = _batch(job, stream, (), fetched)
    async with deps.db.transaction(job.resource.workspace_id) as tx:
        moment = await _hold(tx, job)
        applied = await _apply(deps, tx, job, batch, None)
        await _mark_stale(tx, job, stream, applied)
        told = _progress(job, stream, applied, job.grant.spent(), fetched=len(batch.observed))
        await progress.note(tx, told)
        job.read_after = job.moment = moment


async def _delete_slice(deps: Deps, job: Job, stream: str, absent: Absent) -> None:
    """Before the last page of its listing: whoever follows asks for that page again, and finds less to delete."""
    async with deps.db.transaction(job.resource.workspace_id) as tx:
        await _hold(tx, job)
        deleted = await sweeping.delete_slice(tx, _batch(job, stream, (), Fetched()), absent, deps.settings)
        await progress.note(tx, _progress(job, stream, Applied(deleted=deleted), Counts(), fetched=0))


async def _commit_page(deps: Deps, job: Job, stream: str, pulled: Pulled, fetched: Fetched, unchanged: int) -> None:
    page, used = pulled.page, pulled.used
    batch = _batch(job, stream, page.items, fetched)
    async with deps.db.transaction(job.resource.workspace_id) as tx:
        moment = await _hold(tx, job)
        applied = await _apply(deps, tx, job, batch, page)
        applied.unchanged += unchanged
        whole = await _follow_certificate(deps, tx, job, batch, page, applied)
        await leases.note_progress(tx, job.claim)
        await resources.save_validators(tx, job.resource.id, used.learned)
        if page.resource is not None:
            await follow_label(tx, job.resource, page.resource, cause=job.claim.cause)
        await _mark_stale(tx, job, stream, applied)
        told = _progress(job, stream, applied, used.spent, fetched=len(batch.observed) + unchanged, page=page)
        await progress.save(tx, told, _saved(job, stream, page))
        await _confirm(tx, job, stream, page, whole=whole)
        job.moment = moment
    job.complete &= whole and not batch.quarantined
    _advance(job, stream, page, used.learned)


async def _apply(deps: Deps, tx: Transaction, job: Job, batch: Batch, page: Page | None) -> Applied:
    """`page` None: objects that were fetched before it is committed."""
    listing = job.listings.get(batch.stream)
    if listing is not None:
        await sweeping.keep_for_restore(tx, listing, batch, deps.settings)
    applied = await apply_batch(tx, batch)
    if applied.held:
        await sweeping.take_off(tx, batch, page.items if page else ())
    if listing is not None:
        await sweeping.note(tx, listing, batch, page, deleted=applied.deleted)
    return applied


async def _follow_certificate(
    deps: Deps, tx: Transaction, job: Job, batch: Batch, page: Page, applied: Applied
) -> bool:
    """False when a listing ended that proves nothing, or too much to be believed."""
    if page.certificate is None:
        return True
    closed = await sweeping.close(tx, job.listings[batch.stream], batch, page.certificate, deps.settings)
    applied.deleted += closed.deleted
    return closed.complete


async def _confirm(tx: Transaction, job: Job, stream: str, page: Page, *, whole: bool) -> None:
    """In a sweep, a stream without a listing has nothing that could be missed in one."""
    if page.last and whole:
        certified = page.certificate is not None or job.claim.kind == "sweep"
        await resources.confirm_stream(tx, job.resource.id, stream, certified=certified)


def _advance(job: Job, stream: str, page: Page, learned: dict[str, str]) -> None:
    """What is committed now is where a second try in this process resumes."""
    job.grant.settle(learned)
    ticket = _ticket(job, stream)
    if page.certificate is not None:
        listing = job.listings.pop(stream)
        if ticket == job.claim.ticket or listing.since >= job.claim.since:  # an older one answers an older request
            job.swept.add(stream)
    job.streams[stream] = Stream(
        stream=stream, cursor=page.cursor, listing=page.full_listing, started_ticket=ticket,
        finished_ticket=ticket if page.last else "",
    )  # fmt: skip
    if page.resource is not None:
        job.grant.resource = page.resource


def _ticket(job: Job, stream: str) -> str:
    """The request that this pass of the stream answers: one that came when it had begun is answered by the next."""
    stored = job.streams.get(stream)
    return stored.started_ticket if stored is not None and stored.under_way else job.claim.ticket


async def _hold(tx: Transaction, job: Job) -> datetime:
    """A stale owner writes nothing: its epoch is another's, or the resource is no longer wanted."""
    moment = await leases.hold_page(tx, job.claim)
    if moment is None:
        raise LeaseLost("another owner took this resource over")
    return moment


async def _mark_stale(tx: Transaction, job: Job, stream: str, applied: Applied) -> None:
    if applied.stale:
        keys = [(stream, key) for key in applied.stale]
        await dirty.mark(tx, integration_id=job.resource.integration_id, resource_id=job.resource.id, keys=keys)


def _progress(
    job: Job, stream: str, applied: Applied, spent: Counts, *, fetched: int, page: Page | None = None
) -> Progress:
    """`page` None: objects that are committed before it."""
    counts = msgspec.structs.replace(
        spent, fetched=fetched, created=applied.created, updated=applied.updated, deleted=applied.deleted,
        unchanged=applied.unchanged, quarantined=applied.quarantined,
    )  # fmt: skip
    return Progress(
        run_id=job.claim.run_id, integration_id=job.resource.integration_id, resource_id=job.resource.id, stream=stream,
        counts=counts, changes=applied.changes, seen=len(page.items) if page else 0,
        estimate=page.estimate if page else None,
    )  # fmt: skip


def _saved(job: Job, stream: str, page: Page) -> Saved:
    return Saved(
        cursor=page.cursor, listing=page.full_listing, ticket=_ticket(job, stream), last=page.last, began=job.began
    )
