"""What must be known of a site before its pages are read: may we, is it what we think, what does it list."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from urllib.parse import urljoin

import msgspec

from libs.common.errors import LostSight, ProviderContractBroken, ProviderUnavailable
from libs.common.provider.client import HttpAnswer, ProviderHttp
from libs.common.sites.addresses import Site, is_loopback, origin_of_url
from libs.common.sites.html import read_html
from libs.common.sites.pacing import Pace
from libs.common.sites.pages import PageRead, Reader
from libs.common.sites.robots import read_robots
from libs.common.sites.sitemap import Sitemap, read_sitemap
from libs.common.sites.visiting import REDIRECTS, Visit, Visitor

LARGEST_MAP = 10 * 1024 * 1024
MOST_MAPS = 100
MOST_LISTED = 200_000


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may settle. `versions` is "latest", "all", or names; `pause` in seconds between two requests."""

    versions: str | tuple[str, ...] = "latest"
    most_pages: int = 5000
    pause: float = 0.5
    sitemap: str = ""
    largest_removal: float = 0.2


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The recognised first page of a site."""

    site: Site
    page: PageRead
    path: str


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses by page path, of every sitemap of the site; `whole` False when one of them could not be read."""

    pages: dict[str, str]
    whole: bool


async def open_visitor(http: ProviderHttp, site: Site, rules: Rules) -> Visitor:
    """Raises ProviderUnavailable when the site does not say what it allows."""
    visitor = Visitor(http, Pace(0.0 if is_loopback(site.origin) else rules.pause))
    visitor.obey(read_robots(await visitor.get(f"{site.origin}/robots.txt")))
    return visitor


async def recognise(visitor: Visitor, site: Site, reader: Reader) -> Start:
    """Raises LostSight, saying what to do, for what cannot be read as a site of this generator."""
    visit = await visitor.visit(f"{site.origin}{site.prefix or '/'}")
    if visit.outcome == "absent" and site.prefix:
        visit = await visitor.visit(site.url)
    page = _first_page(visit, site, reader)
    path = site.path_of(visit.url)
    if not site.holds(path):
        raise LostSight(f"this address leads to {visit.url}: connect that one")
    alias = origin_of_url(page.canonical)
    alias = alias if alias != site.origin and site.path_of(page.canonical) == path else ""
    return Start(site=msgspec.structs.replace(site, alias=alias), page=page, path=path)


def _first_page(visit: Visit, site: Site, reader: Reader) -> PageRead:
    if visit.outcome == "failed":
        raise ProviderUnavailable(visit.detail)
    if visit.outcome != "found":
        raise LostSight(_advice(visit))
    root = read_html(visit.body, visit.headers.get("content-type", ""))
    if root is None:
        raise LostSight("the page at this address is empty")
    page = reader.read(root, visit.url)
    if page.kind not in ("document", "listing"):
        raise LostSight(_UNFIT[page.kind].format(name=reader.name))
    return page


_UNFIT = {
    "foreign": "this is no {name} site: its pages name no such generator",
    "login": "this address asks to log in, and only public sites are read",
    "empty": "its pages are filled in by a browser only (hash router?): there is nothing to read without one",
    "missing": "there is no page at this address",
}


def _advice(visit: Visit) -> str:
    advice = {
        "elsewhere": "connect that address if it is the site's own; a site that asks to log in cannot be read",
        "circle": "check the address in a browser",
        "absent": "check the address, or give that of a page that exists",
        "gone": "check the address, or give that of a page that exists",
        "forbidden_by_robots": "ask its owner to allow the agent `sluice`",
        "refused": "only public sites are read",
    }
    return f"this address cannot be read: {visit.detail}; {advice.get(visit.outcome, 'give that of an HTML page')}"


async def digest_of_missing(visitor: Visitor, start: Start, reader: Reader) -> str:
    """What the site shows for a page that cannot exist, if it says "found" to it; "" where it says 404 as it should."""
    visit = await visitor.visit(f"{start.site.origin}{start.site.prefix}/{token_hex(12)}")
    if visit.outcome != "found":
        return ""
    return read_page(visit, reader).digest


def read_page(visit: Visit, reader: Reader) -> PageRead:
    """Raises ProviderContractBroken for what no parser should be given."""
    root = read_html(visit.body, visit.headers.get("content-type", ""))
    if root is None:
        return PageRead(kind="empty")
    page = reader.read(root, visit.url)
    if "noindex" in visit.headers.get("x-robots-tag", "").lower():
        page = msgspec.structs.replace(page, indexed=False)
    return page


async def list_pages(visitor: Visitor, start: Start, rules: Rules) -> Listing | None:
    """By the site's own sitemaps: those that robots.txt or the settings name, else where sitemaps usually are.

    None: there is none. Raises ProviderUnavailable when there may be one that the host fails to give.
    """
    named = [rules.sitemap] if rules.sitemap else list(visitor.sitemaps)
    usual = [[f"{start.site.origin}{folder}/sitemap.xml"] for folder in _folders(start.site.prefix)]
    for group in ([named] if named else []) + usual:
        found = await _read_maps(visitor, start.site, group)
        if found is not None and found.pages:
            return found
    return None


def _folders(prefix: str) -> list[str]:
    """From the site's own folder up to the root of its host."""
    names = prefix.split("/")
    return ["/".join(names[:count]) for count in range(len(names), 0, -1)]


async def _read_maps(visitor: Visitor, site: Site, addresses: Sequence[str]) -> Listing | None:
    waiting, seen, pages, whole = list(addresses), set(addresses), dict[str, str](), True
    any_read = False
    while waiting:
        found = await _read_map(visitor, site, waiting.pop(0))
        if found is None:
            whole = False
            continue
        any_read = True
        for location in found.pages:
            url = site.resolve(location, site.url)
            if url is not None:
                pages.setdefault(site.path_of(url), url)
        more = [one for one in found.maps if one not in seen]
        whole = whole and len(seen) + len(more) <= MOST_MAPS and len(pages) <= MOST_LISTED
        waiting += more[: max(0, MOST_MAPS - len(seen))]
        seen.update(more)
    return Listing(pages=dict(sorted(pages.items())[:MOST_LISTED]), whole=whole) if any_read else None


async def _read_map(visitor: Visitor, site: Site, address: str) -> Sitemap | None:
    """Of this site's host only; a redirect on it is followed."""
    for _ in range(3):
        if origin_of_url(address) == site.alias:
            address = site.origin + address.removeprefix(site.alias)
        if origin_of_url(address) != site.origin:
            return None
        try:
            answer = await visitor.get(address, largest=LARGEST_MAP)
        except ProviderContractBroken:
            return None
        if answer.status >= 500:
            raise ProviderUnavailable(f"the site answered {answer.status} for its sitemap")
        if answer.status == 200:
            return read_sitemap(answer.body)
        if answer.status not in REDIRECTS:
            return None
        address = _redirected(address, answer)
    return None


def _redirected(address: str, answer: HttpAnswer) -> str:
    return urljoin(address, answer.headers.get("location", ""))
