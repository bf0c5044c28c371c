"""A whole list of issues or comments, with proof: what a sweep reads.

The list moves while it is paged: sorted by `updated` an element that changes jumps to the end, and the one after a
page's edge slips past the reader. So a sweep asks for the order of creation, where only deletions move anything; what
it then misses is asked for by key before it goes (`Certificate.snapshot` is False). It proves nothing when a page was
repeated, went back in time, was short although another followed, held an item that does not fit, or when the chain of
links ended before the page that GitHub had named as the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

import msgspec

from libs.common.provider.client import HttpAnswer
from libs.common.provider.sync import Certificate, Item, Quarantined, SyncContext
from libs.providers.github.client import get, last_link, next_link
from libs.providers.github.parents import lost_sight_of_parent, root

PER_PAGE = 100
STALE = timedelta(hours=24)  # links of a list are not kept for ever: an older listing begins anew
Params = dict[str, str]


class Met(NamedTuple):
    """An element of a list, the moments that it was changed and made at, and what tells it apart."""

    item: Item | None
    updated: datetime | None
    created: datetime | None
    number: int | None


class Walk(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A whole listing under way: what another owner needs to go on with it, and to judge it at its end."""

    listing: str
    next: str | None = None
    end: str | None = None
    newest: datetime | None = None
    made: datetime | None = None
    digest: str = ""
    pages: int = 0
    items: int = 0
    errors: int = 0


class Scopes(NamedTuple):
    """Prefixes of the sources, or of the parts, that the list is the whole of."""

    sources: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def begun(ctx: SyncContext, walk: Walk | None) -> Walk:
    now = ctx.clock.now()
    if walk is not None and now - datetime.fromisoformat(walk.listing) < STALE:
        return walk
    return Walk(listing=now.isoformat())


async def ask(ctx: SyncContext, path: str, params: Params, walk: Walk, *, since: datetime | None) -> HttpAnswer:
    """`since` None: what is older than a window is shown as well, for what a whole list does not show is missing."""
    async with lost_sight_of_parent():
        if walk.next:
            return await get(ctx.http, walk.next)
        query = {**params, "sort": "created", "direction": "asc", "per_page": str(PER_PAGE)}
        if since:
            query["since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        return await get(ctx.http, f"{root(ctx)}{path}", params=query)


def after(walk: Walk, answer: HttpAnswer, met: Sequence[Met]) -> Walk:
    follow = next_link(answer)
    digest = sha256(repr([one.number for one in met]).encode()).hexdigest()[:16]
    made = [one.created for one in met if one.created]
    wanted = [one.item for one in met if one.item]
    faults = (
        bool(met) and digest == walk.digest,
        made != sorted(made),
        walk.made is not None and bool(made) and made[0] < walk.made,
        follow is not None and len(met) < PER_PAGE,
        follow is None and walk.end is not None and walk.end != walk.next,
    )
    failing = sum(isinstance(item, Quarantined) for item in wanted)
    return Walk(
        listing=walk.listing, next=follow, end=last_link(answer) if follow else walk.end, digest=digest,
        newest=max((at for at in (walk.newest, *(one.updated for one in met)) if at), default=None),
        made=made[-1] if made else walk.made, pages=walk.pages + 1, items=walk.items + len(wanted),
        errors=walk.errors + failing + sum(faults),
    )  # fmt: skip


def certificate(walk: Walk, scopes: Scopes) -> Certificate:
    return Certificate(
        scopes=scopes.sources, part_scopes=scopes.parts, pages=walk.pages, items=walk.items, errors=walk.errors,
        chain_closed=walk.next is None, change_token=walk.listing, snapshot=False,
    )  # fmt: skip
