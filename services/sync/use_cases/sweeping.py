"""Deletes with proof: what a whole listing did not show goes, unless it is too much to be believed.

All of it happens with the resource locked, inside the transaction of the page it belongs to; much that is to go goes
before that, in slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.ids import new_id
from libs.common.provider.sync import Certificate, Item, Listed, Observed, Page, PartSeen, Pushed, Removed
from libs.common.telemetry.metrics import counter
from services.sync.domain.fuse import blows
from services.sync.domain.plan import Batch
from services.sync.repository import buried, cleanups, dirty, heard, holds, quarantine, runs, sweeps
from services.sync.repository.sweeps import Listing, Missing
from services.sync.settings import SyncSettings
from services.sync.use_cases.apply import tombstone_all

HELD = "deletions_held"
HISTORY_DAYS = 90  # how long runs and listings that ended and deletions that were decided are shown
MOST_AT_ONCE = 1000  # deletes of a transaction: .1 s, in which hints of the resource and the lease wait for it
PARENTS_A_SECOND = 50  # parents of missing parts are read again at a pace that leaves the lane to hints

_held = counter("sync_deletions_held_total", "Deletions that a sweep wanted and the fuse held", ["provider"])
_swept = counter("sync_sweeps_total", "Whole listings that ended, by what they proved", ["state"])


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """`complete`: what the listing proved was believed."""

    complete: bool
    deleted: int = 0


class Absent(msgspec.Struct, frozen=True):
    """What a whole listing did not show."""

    listing: Listing
    certificate: Certificate
    missing: Sequence[Missing]

    def slices(self) -> list[Absent]:
        """All but what goes with the last page."""
        return [
            Absent(self.listing, self.certificate, self.missing[at : at + MOST_AT_ONCE])
            for at in range(0, len(self.missing) - MOST_AT_ONCE, MOST_AT_ONCE)
        ]


class TooManyAtOnce(Exception):
    """Believed, but more than goes in one transaction: nothing of that one stays, and slices go before it."""

    def __init__(self, absent: Absent) -> None:
        super().__init__()
        self.absent = absent


async def begin(tx: Transaction, batch: Batch, listing: str, known: Listing | None) -> Listing:
    """The listing under way, or a new one; `batch.read_after` is then before its first page was asked for."""
    if known is None:
        known = await sweeps.under_way(tx, batch.resource_id, batch.stream)
    if known is not None and known.listing == listing:
        return known
    assert batch.read_after is not None  # noqa: S101 - pages are always read after a claim
    await sweeps.forget_seen(tx, batch.resource_id, batch.stream)
    return await sweeps.start(
        tx, sweep_id=new_id(), integration_id=batch.integration_id, resource_id=batch.resource_id, stream=batch.stream,
        listing=listing, cause=batch.cause, since=batch.read_after,
    )  # fmt: skip


def seen_keys(items: Iterable[Item]) -> list[str]:
    """What the provider proved gone is not seen, and neither is what moved. A part has two keys."""
    keys = {
        f"{item.parent_key}\n{item.part.key}" if isinstance(item, PartSeen) else item.key
        for item in items
        if not isinstance(item, Removed | Pushed)
    }
    return sorted(keys)


async def doubtful(tx: Transaction, listing: Listing, page: Page, settings: SyncSettings) -> list[Listed]:
    """What the listing of a moving set did not show, to be asked for by key; nothing, when it is too much."""
    certificate = page.certificate
    if certificate is None or certificate.snapshot or not await _proves(tx, listing, certificate, ahead=1):
        return []
    missing = await sweeps.unseen(tx, listing, certificate.scopes, seen_keys(page.items))
    of = await sweeps.live(tx, listing.resource_id, certificate.scopes)
    if blows(len(missing), of, settings.sync_sweep_fuse):
        return []
    return [Listed(key=one.key, type=one.type, revision="") for one in missing]


async def keep_for_restore(tx: Transaction, listing: Listing, batch: Batch, settings: SyncSettings) -> None:
    """Before the batch is applied: what the provider proves gone while it is listed can be restored as well."""
    if batch.removed:
        ids = await buried.live_ids(tx, listing, list(batch.removed))
        await _bury(tx, listing, ids, settings)


async def note(tx: Transaction, listing: Listing, batch: Batch, page: Page | None, *, deleted: int) -> None:
    """What was seen, also of what was asked for by key, and the items that failed."""
    items = page.items if page else ()
    observed = [item.key for item in batch.observed]
    await sweeps.note_seen(tx, listing, [*seen_keys(items), *observed])
    errors = len(batch.quarantined)
    await sweeps.add(tx, listing.id, pages=page is not None, items=len(items), errors=errors, deleted=deleted)


async def _proves(tx: Transaction, listing: Listing, certificate: Certificate, *, ahead: int = 0) -> bool:
    """An item that failed on any page, by any owner, leaves a hole; so do pages of which nobody knows what they showed.

    `ahead` pages are not committed yet.
    """
    pages, errors = await sweeps.progress(tx, listing.id)
    return certificate.complete and not errors and pages + ahead >= certificate.pages


async def take_off(tx: Transaction, batch: Batch, items: Iterable[Item] = ()) -> None:
    """What is seen again is not to go."""
    seen = {item.key for item in items if isinstance(item, Listed | Observed)} | {one.key for one in batch.observed}
    await holds.take_off(tx, batch.resource_id, seen)


async def close(
    tx: Transaction, listing: Listing, batch: Batch, certificate: Certificate, settings: SyncSettings
) -> Closed:
    """Follows the certificate and forgets the listing. Raises TooManyAtOnce.

    The fuse judges the whole, whatever owner began to delete it: what went before counts as missing and as live.
    """
    if not await _proves(tx, listing, certificate):
        await _finish(tx, listing, certificate, state="incomplete")
        return Closed(complete=False)
    missing = await sweeps.unseen(tx, listing, certificate.scopes)
    absent = Absent(listing, certificate, missing)
    before = await sweeps.deleted_before(tx, listing.id)
    of = before + await sweeps.live(tx, listing.resource_id, certificate.scopes)
    deleted = 0
    state = "certified"
    if blows(before + len(missing), of, settings.sync_sweep_fuse):
        state = "held"
        await _hold(tx, batch, absent, before=before, of=of)
    else:
        if certificate.snapshot and len(missing) > MOST_AT_ONCE:
            raise TooManyAtOnce(absent)
        await holds.supersede(tx, listing.resource_id, listing.stream)
        if certificate.snapshot:
            deleted = await _delete(tx, batch, absent, settings)
    await _read_parents_again(tx, listing, batch, certificate.part_scopes)
    await quarantine.resolve_listed(tx, listing.resource_id, listing.stream, since=listing.since)
    await _finish(tx, listing, certificate, state=state, missing=len(missing), of=of, deleted=deleted)
    return Closed(complete=state == "certified", deleted=deleted)


async def delete_slice(tx: Transaction, batch: Batch, absent: Absent, settings: SyncSettings) -> int:
    """Of what was judged: what no other lane has written since."""
    still = await sweeps.still_unseen(tx, absent.listing, absent.certificate.scopes, absent.missing)
    deleted = await _delete(tx, batch, msgspec.structs.replace(absent, missing=still), settings)
    await sweeps.note_deleted(tx, absent.listing.id, missing=len(still), deleted=deleted)
    return deleted


async def _finish(
    tx: Transaction,
    listing: Listing,
    certificate: Certificate,
    *,
    state: str,
    missing: int = 0,
    of: int = 0,
    deleted: int = 0,
) -> None:
    await sweeps.finish(tx, listing.id, certificate, state=state, missing=missing, of=of, deleted=deleted)
    await sweeps.forget_seen(tx, listing.resource_id, listing.stream)
    await forget_later(tx, HISTORY_DAYS)
    _swept.labels(state).inc()


async def _hold(tx: Transaction, batch: Batch, absent: Absent, *, before: int, of: int) -> None:
    listing, missing = absent.listing, absent.missing
    if await holds.keeps(tx, listing, missing):
        return
    deleted = f"{before} were deleted before it was too much" if before else "nothing was deleted"
    reason = f"a whole listing no longer shows {before + len(missing)} of {of} sources; {deleted}"
    await holds.hold(
        tx, listing, missing, held_id=new_id(), provider=batch.provider, integration_id=batch.integration_id,
        certificate=absent.certificate, reason=reason, of=of,
    )  # fmt: skip
    _held.labels(batch.provider).inc()


async def _delete(tx: Transaction, batch: Batch, absent: Absent, settings: SyncSettings) -> int:
    await _bury(tx, absent.listing, [one.id for one in absent.missing], settings)
    proof = f"not in a listing of {absent.certificate.items} items"
    return await tombstone_all(tx, batch, [(one.id, one.key) for one in absent.missing], proof)


async def _bury(tx: Transaction, listing: Listing, ids: Sequence[str], settings: SyncSettings) -> None:
    days = settings.sync_restore_days
    if ids and days and await buried.bury(tx, listing.id, ids, days=days):
        await forget_later(tx, days)


async def forget_later(tx: Transaction, days: float) -> None:
    """One cleanup of a workspace for all that expires on one day, an hour after that day is over."""
    now = datetime.now(UTC)
    day = (now + timedelta(days=days)).date()
    at = datetime.combine(day + timedelta(days=1), time(hour=1), UTC)
    await cleanups.want(tx, cleanup_id=f"expired:{tx.workspace}:{day}", kind="expired", after=at - now)


async def forget_expired(tx: Transaction) -> bool:
    """What can be restored no more, the history of it and of runs, and a step of what was heard; True while there may
    be more of that."""
    await buried.forget_expired(tx)
    await holds.forget_old(tx, days=HISTORY_DAYS)
    await sweeps.forget_old(tx, days=HISTORY_DAYS)
    await runs.forget_old(tx, days=HISTORY_DAYS)
    return await heard.forget_old(tx)


async def _read_parents_again(tx: Transaction, listing: Listing, batch: Batch, scopes: Sequence[str]) -> None:
    """A part that a listing did not show is no proof; its source, read whole, is."""
    if not scopes:
        return
    parents = await sweeps.parents_of_unseen_parts(tx, listing, scopes)
    for at in range(0, len(parents), PARENTS_A_SECOND):
        keys = [(listing.stream, key) for key in parents[at : at + PARENTS_A_SECOND]]
        await dirty.mark(
            tx, integration_id=batch.integration_id, resource_id=batch.resource_id, keys=keys,
            after=timedelta(seconds=at // PARENTS_A_SECOND),
        )  # fmt: skip


async def tell_held(tx: Transaction, integration_id: str, resource_id: str) -> bool:
    """Shown until somebody decides; True while something is held."""
    waiting = await holds.waiting(tx, resource_id)
    if waiting is not None:
        detail = (
            f"{waiting['count']} deletions wait for approval:"
            f" a whole listing no longer shows {waiting['count']} of {waiting['of']} sources"
        )
        await holds.tell(tx, integration_id, resource_id, code=HELD, detail=detail)
    return waiting is not None
