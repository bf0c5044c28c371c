"""A whole site as one stream: what it lists or links, read once each, with proof for what is gone.

First come the pages that we hold and the site no longer lists: a lasting redirect there tells a rename before the new
page is met. A page goes only when the site does not list it and says twice that it is not there (404, or its own page
for that), or once that it is gone (410), or asks not to be indexed. Walls and failures never remove anything. When more
of the site is missing than may go unasked, the crawl removes nothing itself: what it did not meet is left out of a
whole listing, and whoever reads its certificate holds it for somebody's word.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from libs.common.errors import LostSight, ProviderContractBroken, ProviderUnavailable, RetryAfter
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Gone,
    Held,
    Item,
    Listed,
    Observed,
    Page,
    Quarantined,
    Removed,
    SyncContext,
)
from libs.common.sites.addresses import site_at
from libs.common.sites.frontier import Position, Step, listed_steps, next_links, open_steps
from libs.common.sites.pages import PageRead, Reader
from libs.common.sites.survey import (
    Listing,
    Rules,
    Start,
    digest_of_missing,
    list_pages,
    open_visitor,
    read_page,
    recognise,
)
from libs.common.sites.visiting import Visit, Visitor

PREFIX = "page:"
STREAM = "pages"
BATCH = 25
BATCH_SECONDS = 20.0
MOST_FAILURES = 3  # in a row: then it is the host that is away
FEW = 10  # so many pages may go without anybody being asked
CAP = "site:cap"
LIST = "site:list"
LIST_LOST = (
    "the sitemap that this site had is not there: no page is removed until it is back; if the site has none any more,"
    " deselect it and choose it again"
)


async def crawl(ctx: SyncContext, cursor: Cursor | None, reader: Reader, rules: Rules) -> AsyncIterator[Page]:
    """Raises LostSight when the site cannot be recognised."""
    assert ctx.resource is not None  # noqa: S101 - pages are always a site's
    site = site_at(ctx.resource.url)
    visitor = await open_visitor(ctx.http, site, rules)
    start = await recognise(visitor, site, reader)
    walk = Walk(
        ctx=ctx, visitor=visitor, start=start, reader=reader, rules=rules,
        soft=await digest_of_missing(visitor, start, reader),
        listing=await list_pages(visitor, start, rules),
        held={key.removeprefix(PREFIX): found for key, found in (await ctx.held(PREFIX)).items()},
    )  # fmt: skip
    walk.begin(msgspec.convert(cursor or {}, Position))
    while True:
        items, limited = await walk.batch()
        ended = limited is None and walk.done
        yield walk.page(items, last=ended)
        if limited is not None:
            raise limited
        if ended:
            return


class Walk:
    """One crawl on its way; `at` is all that another owner needs to go on with it."""

    def __init__(
        self,
        *,
        ctx: SyncContext,
        visitor: Visitor,
        start: Start,
        reader: Reader,
        rules: Rules,
        soft: str,
        listing: Listing | None,
        held: Mapping[str, Held],
    ) -> None:
        self.at = Position()
        self._ctx = ctx
        self._visitor = visitor
        self._start = start
        self._reader = reader
        self._rules = rules
        self._soft = soft
        self._listing = listing
        self._held = held
        self._steps: list[Step] = []
        self._settled: set[str] = set()
        self._left_out: set[str] = set()
        self._failures = 0

    @property
    def done(self) -> bool:
        return not self._steps

    def begin(self, at: Position) -> None:
        self.at = at
        if not at.crawl:
            at.crawl = self._ctx.clock.now().isoformat()
            wanted = " ".join([self._rules.versions] if isinstance(self._rules.versions, str) else self._rules.versions)
            at.afresh, at.versions = at.versions not in ("", wanted) or self._ctx.full, wanted
        at.hasty = at.hasty or self._is_most(sum(path in self._held for path in at.missing))
        if self._listing is None:
            at.unlisted = at.listed
            self._steps = open_steps(at, self._start, self._held)
            return
        at.listed, at.unlisted = True, False
        absent = sorted(set(self._held) - set(self._listing.pages))
        at.hasty = at.hasty or self._is_most(len(absent))
        listed = dict(list(self._listing.pages.items())[: self._rules.most_pages])
        at.capped = len(listed) < len(self._listing.pages)
        self._steps = listed_steps(at, self._start.site, absent, listed)

    def _is_most(self, count: int) -> bool:
        return count > FEW and count > len(self._held) * self._rules.largest_removal

    async def batch(self) -> tuple[list[Item], RetryAfter | None]:
        """As many pages as are read in a short while; how far it came before a limit is kept, even if it brought
        nothing."""
        items: list[Item] = []
        until = time.monotonic() + BATCH_SECONDS
        for taken in range(BATCH):
            if not self._steps or time.monotonic() > until:
                break
            step = self._steps[0]
            try:
                items += await self._take(step)
            except RetryAfter as limited:
                if not taken:
                    raise
                return items, limited
            self._steps.pop(0)
            self.at.phase, self.at.after = step.phase, step.path
        return items, None

    def page(self, items: list[Item], *, last: bool) -> Page:
        at = self.at
        at.pages += 1
        at.items += len(items)
        if self._listing is None:
            at.queue = [step.url for step in self._steps]
        certificate = self._finish(items) if last else None
        cursor: Cursor = msgspec.to_builtins(at.rest() if last else at)
        return Page(
            items=tuple(items), cursor=cursor, last=last, full_listing=f"{STREAM}:{at.crawl}",
            certificate=certificate, estimate=at.items + len(self._steps),
        )  # fmt: skip

    def _finish(self, items: list[Item]) -> Certificate:
        at = self.at
        if self._listing is None and not at.documents and not self._held:
            raise LostSight(
                "this site has no sitemap, and its first page links to no page of text below this address:"
                " set config.sitemap, or connect the address of its documents"
            )
        if at.capped:
            detail = f"only the first {self._rules.most_pages} pages are read: set config.maxPages higher"
            items.append(Quarantined(key=CAP, code="page_cap", detail=detail, by_key=False))
        elif at.was_capped:
            items.append(Removed(key=CAP, proof="every page was read"))
        if at.unlisted:
            items.append(Quarantined(key=LIST, code="list_lost", detail=LIST_LOST, by_key=False))
        elif at.was_unlisted:
            items.append(Removed(key=LIST, proof="the sitemap is back"))
        whole = not at.capped and not at.unlisted and (self._listing is None or self._listing.whole)
        return Certificate(
            scopes=(PREFIX,),
            pages=at.pages,
            items=at.items,
            errors=at.errors,
            chain_closed=whole,
            change_token=at.crawl,
        )

    async def again(self, path: str) -> Observed | Gone | Quarantined:
        """One page out of turn."""
        found = await self._take(Step("linked", path, f"{self._start.site.origin}{path}"))
        for item in found:
            if isinstance(item, Observed | Quarantined) and item.key == PREFIX + path:
                return item
            if isinstance(item, Removed):
                return Gone(key=item.key, proof=item.proof)
        raise LostSight("the site does not show this page now; the next crawl will settle it")

    # one page

    async def _take(self, step: Step) -> list[Item]:
        if step.path in self._settled:
            return []
        if any(step.path == folder or step.path.startswith(f"{folder}/") for folder in self._left_out):
            return self._leave_out(step.path, "the settings leave its version out")
        visit = await self._visit(step)
        self._count_failures(visit)
        if visit.outcome == "unchanged":
            return self._keep(step.path)
        if visit.outcome == "found":
            found = self._read(step, visit)
            if not any(isinstance(item, Observed) for item in found):
                self._visitor.disbelieve(visit, conditional=STREAM)
            return found
        if visit.outcome == "unreadable":
            self.at.errors += 1
            return [Quarantined(key=PREFIX + step.path, code="unreadable_page", detail=visit.detail)]
        if visit.outcome in ("absent", "gone"):
            return self._missed(step, visit.detail, surely=visit.outcome == "gone" and await self._is_gone(step))
        return self._keep(step.path)

    async def _visit(self, step: Step) -> Visit:
        """ "Not modified" says something only of a listed page that we hold for what it is, at its own address."""
        if step.phase != "listed" or step.path in self.at.missing or self.at.afresh:
            return await self._visitor.visit(step.url)
        visit = await self._visitor.visit(step.url, conditional=STREAM)
        here = self._start.site.path_of(visit.url) == step.path
        if visit.outcome == "unchanged" and not (here and step.path in self._held):
            return await self._visitor.visit(step.url)
        return visit

    async def _is_gone(self, step: Step) -> bool:
        """Said twice in one crawl: a single 410 may be a bad moment of whatever stands before the site."""
        return step.path in self._held and (await self._visitor.visit(step.url)).outcome == "gone"

    def _count_failures(self, visit: Visit) -> None:
        failed = visit.outcome == "failed"
        self.at.errors += failed
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= MOST_FAILURES:
            raise ProviderUnavailable(f"the site failed {MOST_FAILURES} times in a row: {visit.detail}")

    def _read(self, step: Step, visit: Visit) -> list[Item]:
        try:
            page = read_page(visit, self._reader)
        except ProviderContractBroken as error:
            self.at.errors += 1
            return [Quarantined(key=PREFIX + step.path, code=error.code, detail=error.detail)]
        if self._listing is None:
            self._steps += next_links(self.at, self._start.site, page, visit.url, self._rules.most_pages)
        landed = self._start.site.path_of(visit.url)
        if self._stands_for_missing(step, landed, page):
            return self._missed(step, "the site shows its page for what is not there")
        if landed != step.path:
            return self._moved(step, visit, landed, page)
        return self._judge(step.path, visit, page)

    def _stands_for_missing(self, step: Step, landed: str, page: PageRead) -> bool:
        """The first page is what it is: some sites show it for everything that is not there."""
        if step.path == self._start.path:
            return False
        sent_home = landed == self._start.path and landed != step.path
        return page.kind == "missing" or sent_home or (bool(self._soft) and page.digest == self._soft)

    def _judge(self, path: str, visit: Visit, page: PageRead, previous: str = "") -> list[Item]:
        if page.kind in ("login", "foreign", "empty"):
            self.at.errors += 1
            return self._keep(path)
        if page.kind != "document" or not page.indexed:
            why = "it asks not to be indexed" if page.kind == "document" else "it has no text of its own any more"
            return self._doubt(path, why)
        if self._start.page.locale and page.locale not in ("", self._start.page.locale):
            return self._leave_out(path, "it is in another language than its site")
        if not self._is_wanted(page):
            return self._leave_out(path, "the settings leave its version out")
        self.at.documents += 1
        self._settled.add(path)
        return [self._observed(path, visit, page, previous)]

    def _is_wanted(self, page: PageRead) -> bool:
        versions = self._rules.versions
        if versions == "latest":
            wanted = page.latest
        else:
            wanted = versions == "all" or not page.version or page.version in versions
        if not wanted and page.version_path:
            self._left_out.add(page.version_path)
        return wanted

    def _observed(self, path: str, visit: Visit, page: PageRead, previous: str) -> Observed:
        site = self._start.site
        named = site.resolve(page.canonical, visit.url) if page.canonical else None
        return Observed(
            key=PREFIX + path, type="page", name=page.title or path, path=path, content=page.content,
            url=named if named and site.path_of(named) == path else visit.url, content_type="text/markdown",
            revision=page.digest, previous_key=PREFIX + previous if previous else None, metadata=page.metadata,
        )  # fmt: skip

    def _moved(self, step: Step, visit: Visit, landed: str, page: PageRead) -> list[Item]:
        """Lasting: the page has a new address and stays the same page. Passing: nothing is known of it today."""
        site, held = self._start.site, step.path in self._held
        if visit.moved != "lasting" or not site.holds(landed):
            return self._keep(step.path)
        if landed in self._settled:
            return self._leave_out(step.path, f"moved for good to {landed}")
        known = landed in self._held
        previous = step.path if held and not known else ""
        found = self._judge(landed, visit, page, previous)
        renamed = any(isinstance(item, Observed) and item.previous_key for item in found)
        return found if renamed else [*found, *self._leave_out(step.path, f"moved for good to {landed}")]

    def _missed(self, step: Step, detail: str, *, surely: bool = False) -> list[Item]:
        if step.path not in self._held:
            return []
        if step.phase == "listed" or self.at.unlisted:  # the site says so itself, or said so while it had a list
            return self._keep(step.path)
        return self._doubt(step.path, f"not listed, and {detail}", surely=surely)

    def _doubt(self, path: str, why: str, *, surely: bool = False) -> list[Item]:
        """Told once it is noted, told twice it is believed; while too much of the site says so it is only not seen."""
        if path not in self._held:
            return []
        if not self.at.hasty and (surely or path in self.at.missing):
            return [Removed(key=PREFIX + path, proof=why)]
        self.at.missed[path] = self.at.missing.get(path, 0) + 1
        return [] if self.at.hasty else self._keep(path)

    def _leave_out(self, path: str, why: str) -> list[Item]:
        return [Removed(key=PREFIX + path, proof=why)] if path in self._held else []

    def _keep(self, path: str) -> list[Item]:
        """Seen, and as we hold it."""
        held = self._held.get(path)
        return [Listed(key=PREFIX + path, type="page", revision=held.revision)] if held else []


async def read_again(
    ctx: SyncContext, keys: Sequence[str], reader: Reader, rules: Rules
) -> list[Observed | Gone | Quarantined]:
    """Pages out of turn. What is not plainly there or plainly gone is the next crawl's to judge: LostSight."""
    assert ctx.resource is not None  # noqa: S101 - pages are always a site's
    site = site_at(ctx.resource.url)
    visitor = await open_visitor(ctx.http, site, rules)
    start = await recognise(visitor, site, reader)
    walk = Walk(
        ctx=ctx, visitor=visitor, start=start, reader=reader, rules=rules, soft="", listing=None,
        held=dict.fromkeys((key.removeprefix(PREFIX) for key in keys), Held("", {})),
    )  # fmt: skip
    return [await walk.again(key.removeprefix(PREFIX)) for key in keys]
