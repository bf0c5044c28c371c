"""What a documentation site gives to sync: the sites that were named, their pages, and one page again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec

from libs.common.provider.sync import (
    Cursor,
    Gone,
    Listed,
    Observed,
    Page,
    Quarantined,
    Resource,
    ResourcePage,
    SyncContext,
    SyncFacet,
    resumed,
)
from libs.common.sites.addresses import site_at
from libs.common.sites.crawl import PREFIX, STREAM, crawl, read_again
from libs.common.sites.survey import open_visitor, recognise
from libs.providers.docusaurus.config import rules_of, sites_of
from libs.providers.docusaurus.page import READER


class Place(msgspec.Struct, frozen=True):
    """Which of the named sites is shown next."""

    at: Annotated[int, msgspec.Meta(ge=0)]


class DocusaurusSync:
    async def discover(self, ctx: SyncContext, cursor: Cursor | None, query: str = "") -> ResourcePage:
        """The connected site and those of config.sites; one a page, for each has to be asked who it is."""
        sites = sites_of(ctx.config)
        place = resumed(cursor, Place)
        at = place.at if place else 0
        found = [await self.find(ctx, site) for site in sites[at : at + 1] if query.lower() in site.lower()]
        return ResourcePage(items=tuple(found), next_cursor={"at": at + 1} if at + 1 < len(sites) else None)

    async def find(self, ctx: SyncContext, reference: str) -> Resource:
        """By address; everything below it is the site."""
        site = site_at(reference, pointer="/resources")
        start = await recognise(await open_visitor(ctx.http, site, rules_of(ctx.config, site.url)), site, READER)
        return Resource(
            kind="site", external_id=site.url, name=start.page.title or site.url, url=site.url,
            facts={"locale": start.page.locale},
        )  # fmt: skip

    def pull(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        return {STREAM: crawl}[stream](ctx, cursor, READER, rules_of(ctx.config, _url(ctx)))

    async def fetch(self, ctx: SyncContext, listed: Sequence[Listed]) -> Sequence[Observed | Gone | Quarantined]:
        return await read_again(ctx, [one.key for one in listed], READER, rules_of(ctx.config, _url(ctx)))

    def key_stream(self, key: str) -> str:
        return {PREFIX: STREAM}[key[: len(PREFIX)]]


def _url(ctx: SyncContext) -> str:
    assert ctx.resource is not None  # noqa: S101 - pages are always a site's
    return ctx.resource.url


FACET: SyncFacet = DocusaurusSync()
