"""Connecting by address: what is taken, and what is refused with what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import InvalidInput, LostSight, ProviderUnavailable, SluiceError
from libs.common.http.client import AddressRefused, OutboundClient
from libs.common.provider.http import GrantedHttp
from libs.providers.docusaurus.auth import FACET
from libs.providers.docusaurus.tests.served import SITE, Served


def opened(site: Served, url: str = SITE) -> GrantedHttp:
    return GrantedHttp(site, api_url=url, base_url=url)


async def test_site_is_its_own_account(site: Served) -> None:
    account = await FACET.check(opened(site))
    assert (account.account_id, account.account_name) == (SITE, "Sluice")


async def test_address_of_a_page_below_is_a_site_of_its_own(site: Served) -> None:
    assert (await FACET.check(opened(site, f"{SITE}docs"))).account_id == f"{SITE}docs/"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"generator": False}, "no Docusaurus site"),
        ({"clientOnly": True}, "browser only"),
        ({"loginWall": "page", "generator": False}, "asks to log in"),
        ({"loginWall": "redirect"}, "leads to https://login.configured.invalid"),
        ({"redirectLoop": True}, "redirects lead nowhere"),
        ({"robots": "User-agent: *\nDisallow: /"}, "robots.txt does not allow"),
    ],
)
async def test_site_that_cannot_be_read_is_refused_with_the_reason(
    site: Served, settings: dict[str, Any], says: str
) -> None:
    await site.settings(**settings)
    with pytest.raises(LostSight, match=says):
        await FACET.check(opened(site))


@pytest.mark.parametrize(("status", "says"), [(401, "only public"), (403, "only public"), (404, "404"), (410, "410")])
async def test_first_page_that_is_not_shown_is_refused(site: Served, status: int, says: str) -> None:
    await site.change("answer", path="", status=status)
    with pytest.raises(LostSight, match=says):
        await FACET.check(opened(site))


@pytest.mark.parametrize("what", ["robots", "page"])
async def test_site_that_fails_is_away_and_not_refused(site: Served, what: str) -> None:
    match = "robots" if what == "robots" else "docusaurus"
    await site.control("POST", "faults", match=match, kind="status", status=500, times=0)
    with pytest.raises(ProviderUnavailable):
        await FACET.check(opened(site))


@pytest.mark.parametrize("trouble", ["deep", "attributes", "huge", "script"])
async def test_page_that_no_reader_should_be_given_is_refused(site: Served, trouble: str) -> None:
    await site.change("answer", path="", trouble=trouble)
    with pytest.raises(SluiceError) as refused:
        await FACET.check(opened(site))
    assert refused.value.code in ("lost_sight", "page_too_deep", "body_too_large")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/", "http://localhost:1/", "http://169.254.169.254/", "http://10.0.0.1/", "http://[::1]:8090/"],
)
async def test_private_address_is_refused_before_anything_is_sent(url: str) -> None:
    """Only the sandbox's exact endpoint is allowed: another port of the same host is as private as any."""
    async with OutboundClient(["127.0.0.1:8090"]) as client:
        with pytest.raises(AddressRefused):
            await FACET.check(GrantedHttp(client, api_url=url, base_url=url))


async def test_host_that_does_not_resolve_is_away() -> None:
    async def nothing(host: str, port: int) -> list[str]:
        raise OSError

    async with OutboundClient(resolver=nothing, attempts=1) as client:
        with pytest.raises(ProviderUnavailable):
            await FACET.check(GrantedHttp(client, api_url="https://docs.example.invalid/", base_url=""))


@pytest.mark.parametrize(
    "config",
    [
        {}, {"url": SITE}, {"versions": "all"}, {"versions": ["1.0", "current"]}, {"maxPages": 1},
        {"secondsBetweenRequests": 0.25}, {"sitemap": f"{SITE}map.xml"}, {"largestRemoval": 0}, {"sites": [SITE]},
    ],
)  # fmt: skip
def test_settings_of_a_site_are_taken(config: dict[str, Any]) -> None:
    assert FACET.validate_config(config) == config


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"depth": 3}, "/config/depth"), ({"versions": []}, "/config/versions"), ({"versions": 1}, "/config/versions"),
        ({"maxPages": 0}, "/config/maxPages"), ({"maxPages": 2.5}, "/config/maxPages"),
        ({"maxPages": True}, "/config/maxPages"),
        ({"maxPages": 50_001}, "/config/maxPages"),
        ({"secondsBetweenRequests": 0}, "/config/secondsBetweenRequests"),
        ({"sitemap": "ftp://x/"}, "/config/sitemap"), ({"sitemap": 1}, "/config/sitemap"),
        ({"largestRemoval": 1.5}, "/config/largestRemoval"),
        ({"sites": ["https://ok.example/", "nope"]}, "/config/sites/1"),
        ({"sites": "https://ok.example/"}, "/config/sites"), ({"url": "https://user:pass@host/"}, "/config/url"),
    ],
)  # fmt: skip
def test_setting_that_means_nothing_is_refused_where_it_stands(config: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        FACET.validate_config(config)
    assert refused.value.pointer == pointer


def test_token_is_refused() -> None:
    with pytest.raises(InvalidInput):
        FACET.validate_token("a-token-of-something")


@pytest.mark.parametrize("reference", ["", "not an address", "ftp://host/", "https://", "javascript:alert(1)"])
async def test_reference_that_is_no_address_is_refused_with_a_pointer(site: Served, reference: str) -> None:
    from libs.providers.docusaurus.tests.copied import Copy

    with pytest.raises(InvalidInput) as refused:
        await Copy(site).select(reference)
    assert refused.value.pointer == "/resources"
