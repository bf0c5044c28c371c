"""The served site behaves as a static host behind a build: every deploy changes every byte, and little of the text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.providers.docusaurus.tests.served import Served, open_site

CHECKOUT = Path(__file__).resolve().parents[4]
PAGES = ("/docusaurus/docs/writing/code", "/docusaurus/docs/events", "/docusaurus/")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Served]:
    served = open_site(CHECKOUT, tmp_path)
    yield served
    await served.client.aclose()
    await served.sandbox.close()


async def bodies(site: Served) -> list[bytes]:
    return [(await site.client.get(path)).content for path in PAGES]


async def test_rebuild_changes_every_page_and_no_text(site: Served) -> None:
    before, truth = await bodies(site), await site.truth()
    await site.change("rebuild")
    assert all(old != new for old, new in zip(before, await bodies(site), strict=True))
    assert await site.truth() == truth


async def test_page_is_named_by_where_it_is_served(site: Served) -> None:
    text = (await site.client.get(PAGES[0])).text
    assert "rel=canonical href=http://127.0.0.1:8090/docusaurus/docs/writing/code" in text
    assert "configured.invalid" not in text
    assert "__base__" not in text
    assert (
        "<loc>http://127.0.0.1:8090/docusaurus/docs/events</loc>"
        in (await site.client.get("/docusaurus/sitemap.xml")).text
    )


@pytest.mark.parametrize(
    ("etags", "asked", "told"), [(True, "if-none-match", "etag"), (False, "if-modified-since", "last-modified")]
)
async def test_unchanged_page_is_not_sent_again_until_the_next_build(
    site: Served, etags: bool, asked: str, told: str
) -> None:
    await site.settings(etags=etags)
    tag = (await site.client.get(PAGES[0])).headers[told]
    assert (await site.client.get(PAGES[0], headers={asked: tag})).status_code == 304
    await site.change("rebuild")
    assert (await site.client.get(PAGES[0], headers={asked: tag})).status_code == 200


async def test_changes_are_served_and_survive_a_restart(site: Served, tmp_path: Path) -> None:
    await site.change("add", path="docs/new", title="New <page>", text="Text & more")
    await site.change("edit", path="docs/events", text="One more thing.")
    await site.change("rename", path="docs/security", to="docs/safety")
    await site.change("remove", path="docs/operating")
    await site.change("remove", path="docs/architecture", gone=True)
    again = open_site(CHECKOUT, tmp_path)
    for served in (site, again):
        assert "New &lt;page&gt;" in (await served.client.get("/docusaurus/docs/new")).text
        assert "One more thing." in (await served.client.get("/docusaurus/docs/events")).text
        moved = await served.client.get("/docusaurus/docs/security")
        assert (moved.status_code, moved.headers["location"]) == (308, "/docusaurus/docs/safety")
        statuses = [
            (await served.client.get(f"/docusaurus/docs/{name}")).status_code for name in ("operating", "architecture")
        ]
        assert statuses == [404, 410]
    listed = {path for path, page in (await again.truth()).items() if page["listed"]}
    assert {"/docs/new", "/docs/safety"} <= listed
    assert not {"/docs/security", "/docs/operating", "/docs/architecture"} & listed
    await again.client.aclose()
    await again.sandbox.close()


async def test_robots_stand_at_the_root_of_the_host(site: Served) -> None:
    assert (await site.client.get("/robots.txt")).status_code == 404
    await site.settings(robots="User-agent: *\nDisallow: /docusaurus/blog\n")
    assert "Disallow: /docusaurus/blog" in (await site.client.get("/robots.txt")).text
    assert (await site.client.get("/elsewhere")).status_code == 404


async def test_second_site_stands_below_the_first_with_a_life_of_its_own(site: Served) -> None:
    await site.control("POST", "sites", name="handbook")
    await site.control("POST", "change", op="remove", path="docs/events", site="handbook")
    assert (await site.client.get("/docusaurus/~handbook/docs/events")).status_code == 404
    assert (await site.client.get("/docusaurus/docs/events")).status_code == 200
    assert (
        "href=/docusaurus/~handbook/docs/writing/code"
        in (await site.client.get("/docusaurus/~handbook/docs/writing/tabs")).text
    )
