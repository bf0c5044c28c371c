"""What a site may ask of its reader, and what its sitemaps may hold."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import InvalidInput, ProviderUnavailable, RateLimited
from libs.common.provider.client import HttpAnswer
from libs.common.sites.addresses import site_at
from libs.common.sites.pacing import Pace
from libs.common.sites.robots import LONGEST_DELAY, Robots, read_robots
from libs.common.sites.sitemap import read_sitemap
from libs.common.sites.visiting import LONGEST_WAIT, UNSAID_WAIT, Visitor

SITE = "https://docs.example.com/guide/"


class Nowhere:
    api_url = base_url = ""


def answer(status: int, body: bytes = b"", **headers: str) -> HttpAnswer:
    return HttpAnswer(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body, url="")


def test_longest_rule_for_our_own_name_decides() -> None:
    robots = Robots(
        "User-agent: *\nDisallow: /\n\nUser-agent: sluice\nAllow: /\nDisallow: /private\nDisallow: /*.txt$\n"
    )
    assert robots.allows("https://x/docs")
    assert not robots.allows("https://x/private/a")
    assert not robots.allows("https://x/a.txt")
    assert robots.allows("https://x/a.txt.html")


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
def test_missing_robots_allow_everything(status: int) -> None:
    assert read_robots(answer(status, b"User-agent: *\nDisallow: /")).allows(SITE)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_robots_that_fail_stop_everything(status: int) -> None:
    with pytest.raises(ProviderUnavailable):
        read_robots(answer(status))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0.5), ("User-agent: *\nCrawl-delay: 0.1", 0.5), ("User-agent: *\nCrawl-delay: 3", 3.0),
     ("User-agent: *\nCrawl-delay: 86400", LONGEST_DELAY)],
)  # fmt: skip
def test_requests_keep_the_longer_of_pause_and_crawl_delay(text: str, seconds: float) -> None:
    pace = Pace(0.5)
    Visitor(Nowhere(), pace).obey(Robots(text))  # type: ignore[arg-type]  # asks nothing here
    assert pace.seconds == seconds


class Sending(Nowhere):
    """Sends everyone who asks to one address, and says where it was asked."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.asked: list[str] = []

    async def request(self, method: str, url: str, **_: object) -> HttpAnswer:
        self.asked.append(url)
        return answer(301, location=self.location)


@pytest.mark.parametrize(
    "location", ["https://u@docs.example.com/b", "https://u:p@docs.example.com/b", "https://:1/", "//["]
)
async def test_redirect_to_what_is_never_called_is_told_and_not_followed(location: str) -> None:
    http = Sending(location)
    visit = await Visitor(http, Pace(0.0)).visit(SITE)  # type: ignore[arg-type]  # only `request` is asked for
    assert visit.outcome == "elsewhere"
    assert http.asked == [SITE]


async def test_two_requests_have_a_pause_between_them() -> None:
    pace, began = Pace(0.02), time.monotonic()
    for _ in range(3):
        await pace.wait()
    assert time.monotonic() - began >= 0.04


class Tired(Nowhere):
    """Asks everyone to wait, and keeps until when it was believed."""

    def __init__(self, told: HttpAnswer) -> None:
        self.told = told
        self.until: datetime | None = None

    async def request(self, method: str, url: str, **_: object) -> HttpAnswer:
        return self.told

    def note_limit(self, until: datetime) -> None:
        self.until = until


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        (answer(429), UNSAID_WAIT),
        (answer(429, retry_after="7"), timedelta(seconds=7)),
        (answer(503, retry_after="soon"), UNSAID_WAIT),
        (answer(503, retry_after="999999999"), LONGEST_WAIT),
    ],
)
async def test_site_that_asks_to_wait_is_left_alone_for_an_hour_at_most(told: HttpAnswer, wait: timedelta) -> None:
    http, began = Tired(told), datetime.now(UTC)
    with pytest.raises(RateLimited) as limited:
        await Visitor(http, Pace(0.0)).visit(SITE)  # type: ignore[arg-type]  # only these two are asked for
    assert http.until == limited.value.until
    assert began + wait <= limited.value.until <= datetime.now(UTC) + wait


@pytest.mark.parametrize(
    "url", [SITE + "a", SITE + "a/", SITE + "a.html", SITE + "a/index.html", "https://docs.example.com:443/guide/a"]
)
def test_addresses_of_one_page_have_one_path(url: str) -> None:
    assert site_at(SITE).path_of(url) == "/guide/a"


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("b", f"{SITE}b"), ("/guide/b?x=1#y", f"{SITE}b"), ("../guide/b", f"{SITE}b"), ("/guide", SITE.rstrip("/")),
        ("../other", None), ("/guidebook", None), ("https://elsewhere.example/guide/b", None),
        ("http://docs.example.com/guide/b", None), ("logo.png", None), ("file.PDF", None), ("mailto:a@b", None),
        ("//evil.example/guide/b", None), ("http://[", None),
        ("v1.0", f"{SITE}v1.0"),
    ],
)  # fmt: skip
def test_link_leads_to_a_page_of_the_site_or_nowhere(href: str, url: str | None) -> None:
    assert site_at(SITE).resolve(href, f"{SITE}a") == url


@pytest.mark.parametrize(
    "url", ["", "docs.example.com", "ftp://x/", "https://", "https://u:p@x/", "https://x/\n", "http://["]
)
def test_text_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        site_at(url)


URLSET = b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc> https://x/a </loc></url></urlset>'


@pytest.mark.parametrize(
    "body", [URLSET, gzip.compress(URLSET), b"<?xml version='1.0'?>" + URLSET, b"<!-- x -->" + URLSET]
)
def test_sitemap_is_read_packed_or_not(body: bytes) -> None:
    found = read_sitemap(body)
    assert found is not None
    assert found.pages == ("https://x/a",)


def test_locations_of_pictures_are_no_pages() -> None:
    body = (
        b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">'
        b"<url><loc>https://x/a</loc><image:image><image:loc>https://x/i.png</image:loc></image:image></url></urlset>"
    )
    found = read_sitemap(body)
    assert found is not None
    assert found.pages == ("https://x/a",)


def test_index_names_its_sitemaps() -> None:
    found = read_sitemap(b"<sitemapindex><sitemap><loc>https://x/1.xml</loc></sitemap></sitemapindex>")
    assert found is not None
    assert (found.pages, found.maps) == ((), ("https://x/1.xml",))


LAUGHS = b'<!DOCTYPE u [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
BAD = {
    "entities": LAUGHS + b"]><urlset><url><loc>&j;</loc></url></urlset>",
    "external": b'<!DOCTYPE u [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>&x;</loc></url></urlset>',
    "bomb": gzip.compress(b"<urlset>" + b" " * (60 * 1024 * 1024), compresslevel=1),
    "too many": b"<urlset>" + b"<url><loc>https://x/</loc></url>" * 50_001 + b"</urlset>",
    "html": b"<!doctype html><title>404</title><p>nothing",
    "cut off": URLSET[:-9],
    "cut gzip": gzip.compress(URLSET)[:-12],
    "feed": b"<rss><channel/></rss>",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", BAD)
def test_sitemap_with_entities_or_a_bomb_is_none(kind: str) -> None:
    began = time.process_time()
    assert read_sitemap(BAD[kind]) is None
    assert time.process_time() - began < 2
