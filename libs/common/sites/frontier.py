"""Where a crawl stands and what is to be read next: small enough to be saved after every few pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from libs.common.sites.addresses import Site
from libs.common.sites.pages import PageRead
from libs.common.sites.survey import Start

Phase = Literal["", "absent", "listed", "linked"]
ORDER: dict[Phase, int] = {"": 0, "absent": 1, "listed": 2, "linked": 3}


class Step(msgspec.Struct, frozen=True):
    """`absent`: held, and listed no more. `listed` by the sitemap. `linked` from another page."""

    phase: Phase
    path: str
    url: str


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Between two crawls: `missing` paths that were not there at the last one, `was_capped`, the `versions` it was
    about, and whether the site has ever had a list (`listed`) and had lost it (`was_unlisted`). The rest is one
    crawl's; `afresh` when other versions are wanted now, so that "not modified" says nothing.

    A crawl by sitemap goes on behind `phase` and `after`, since both lists are in order; one by links keeps its queue.
    `hasty`: so much is missing at once that even a plain "gone" removes nothing. `unlisted`: the list that the site had
    is not there, so that nothing is missing from it.
    """

    missing: dict[str, int] = {}
    was_capped: bool = False
    listed: bool = False
    was_unlisted: bool = False
    versions: str = ""
    afresh: bool = False
    crawl: str = ""
    phase: Phase = ""
    after: str = ""
    queue: list[str] | None = None
    seen: list[str] = []
    missed: dict[str, int] = {}
    pages: int = 0
    items: int = 0
    errors: int = 0
    documents: int = 0
    hasty: bool = False
    capped: bool = False
    unlisted: bool = False

    def rest(self) -> Position:
        return Position(
            missing=self.missed, was_capped=self.capped, listed=self.listed, was_unlisted=self.unlisted,
            versions=self.versions,
        )  # fmt: skip


def listed_steps(at: Position, site: Site, absent: Iterable[str], listed: Mapping[str, str]) -> list[Step]:
    """What is held and not listed first, then the list, each in order of its paths; without what is done."""
    steps = [Step("absent", path, f"{site.origin}{path}") for path in absent]
    steps += [Step("listed", path, url) for path, url in sorted(listed.items())]
    done = (ORDER[at.phase], at.after)
    return [step for step in steps if not at.phase or (ORDER[step.phase], step.path) > done]


def open_steps(at: Position, start: Start, held: Mapping[str, Any]) -> list[Step]:
    """Without a list: the first page and everything held, so that a rename is met before the page's new address."""
    site = start.site
    if at.queue is None:
        at.queue = [f"{site.origin}{path}" for path in dict.fromkeys([*sorted(held), start.path])]
        at.seen = [site.path_of(url) for url in at.queue]
    return [Step("linked", site.path_of(url), url) for url in at.queue]


def next_links(at: Position, site: Site, page: PageRead, url: str, most: int) -> list[Step]:
    """Links of a page to pages of the site that were not met yet."""
    found: dict[str, str] = {}
    for href in page.links:
        target = site.resolve(href, url)
        if target is not None:
            found.setdefault(site.path_of(target), target)
    seen = set(at.seen)
    fresh = [path for path in found if path not in seen]
    room = max(0, most - len(at.seen))
    at.capped = at.capped or len(fresh) > room
    at.seen += fresh[:room]
    return [Step("linked", path, found[path]) for path in fresh[:room]]
