"""A site is followed through its rebuilds: what is new, changed, moved and gone is told, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import LostSight, ProviderUnavailable, RateLimited
from libs.common.http.wire import InvalidCursor
from libs.common.provider.sync import Gone, Listed, Observed, Removed
from libs.providers.docusaurus.sync import FACET
from libs.providers.docusaurus.tests.copied import Copy, expected
from libs.providers.docusaurus.tests.served import HOST, SITE, Answered, Served

CODE = "page:/docusaurus/docs/writing/code"


async def test_first_crawl_holds_every_listed_document_of_the_released_version(copy: Copy, site: Served) -> None:
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    assert "/docs/writing/code" in copy.paths
    assert copy.certificate is not None
    assert copy.certificate.complete
    page = copy.objects[CODE]
    assert (page.url, page.path, page.type) == (f"{SITE}docs/writing/code", "/docusaurus/docs/writing/code", "page")
    assert page.metadata["version"] == "1.0"


async def test_unchanged_site_is_answered_by_not_modified_and_tells_nothing(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.control("DELETE", "requests")
    await copy.pull()
    assert copy.told == []
    counts = (await site.control("GET", "requests"))["counts"]
    assert counts["notModified"] >= len(copy.paths)
    assert counts["total"] <= len(copy.paths) + 20  # robots, first page, probe, sitemap, and pages without text twice


async def test_site_without_etags_is_asked_by_date(copy: Copy, site: Served) -> None:
    await site.settings(etags=False)
    await copy.pull()
    await copy.pull()
    counts = (await site.control("GET", "requests"))["counts"]
    assert counts["notModified"] >= len(copy.paths) - 1


async def test_rebuild_with_other_bytes_tells_nothing(copy: Copy, site: Served) -> None:
    await copy.pull()
    for _ in range(3):
        await site.change("rebuild")
        await copy.pull()
        assert copy.told == []


async def test_added_and_edited_pages_are_told_at_the_next_crawl(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("add", path="docs/new", title="New", text="Fresh water.")
    await site.change("edit", path="docs/writing/code", text="An added sentence.")
    await copy.pull()
    assert sorted(copy.told) == [("created", "page:/docusaurus/docs/new"), ("updated", CODE)]
    assert copy.objects[CODE].content.endswith("\n\nAn added sentence.\n")


@pytest.mark.parametrize("told", ["", "<html><body>One moment, please.</body></html>", "<div>" * 2_000])
async def test_page_that_was_shown_wrongly_once_is_not_believed_unmodified_afterwards(
    copy: Copy, site: Served, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    await copy.pull()
    await site.change("edit", path="docs/writing/code", text="An added sentence.")
    with monkeypatch.context() as wrongly:
        ask = site.request

        async def shown(method: str, url: str, **given: Any) -> Answered:
            answer = await ask(method, url, **given)
            wrong = url.endswith("docs/writing/code") and answer.status == 200
            return Answered(answer.status, answer.headers, told.encode(), url) if wrong else answer

        wrongly.setattr(site, "request", shown)
        await copy.pull()
        assert copy.told == []
    await copy.pull()
    assert copy.told == [("updated", CODE)]


async def test_page_answering_404_goes_at_the_second_sighting(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("remove", path="docs/writing/code")
    await copy.pull()
    assert copy.told == []
    assert CODE in copy.objects
    await copy.pull()
    assert copy.told == [("deleted", CODE)]
    assert "404" in copy.proofs[CODE]


async def test_page_that_comes_back_in_between_is_not_deleted(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("remove", path="docs/security")
    await copy.pull()
    await site.change("add", path="docs/security", title="Back", text="again")
    await copy.pull()
    await site.change("remove", path="docs/security")
    await copy.pull()
    assert "page:/docusaurus/docs/security" in copy.objects  # the first sighting of a new absence


async def test_page_answering_410_goes_at_once(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("remove", path="docs/writing/code", gone=True)
    await copy.pull()
    assert copy.told == [("deleted", CODE)]


async def test_page_that_answers_410_once_is_kept(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.control("POST", "faults", match="writing/code", kind="status", status=410, times=1)
    await site.change("hide", path="docs/writing/code")
    await copy.pull()
    assert copy.told == []


@pytest.mark.parametrize("status", [404, 410])
async def test_site_that_lost_its_sitemap_loses_no_page(copy: Copy, site: Served, status: int) -> None:
    """Nothing can be missing from a list that is not there; it is said until the list is back."""
    await copy.pull()
    await site.settings(sitemap="off")
    await site.change("answer", path="docs/writing/code", status=status)
    for _ in range(3):
        await copy.pull()
        assert copy.told == []
    assert copy.quarantined["site:list"].code == "list_lost"
    assert copy.certificate is not None
    assert not copy.certificate.complete
    await site.settings(sitemap="plain")
    assert "site:list" in [item.key for page in await copy.pull() for item in page.items]


async def test_deleted_page_that_returns_as_it_was_is_created_again(copy: Copy, site: Served) -> None:
    """On a site that never had a sitemap."""
    await site.settings(sitemap="off")
    await copy.pull()
    await site.change("answer", path="docs/writing/code", status=410)
    await copy.pull()
    assert copy.told == [("deleted", CODE)]
    await site.change("answer", path="docs/writing/code")
    await copy.pull()
    assert copy.told == [("created", CODE)]


@pytest.mark.parametrize("status", [401, 403, 451, 500, 503, 404, 410])
async def test_listed_page_that_answers_badly_is_kept(copy: Copy, site: Served, status: int) -> None:
    """What the sitemap still lists is not gone, whatever its host says today."""
    await copy.pull()
    await site.change("answer", path="docs/writing/code", status=status)
    for _ in range(3):
        await copy.pull()
        assert copy.told == []
    assert CODE in copy.objects


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_unlisted_page_behind_a_wall_or_a_failure_is_kept(copy: Copy, site: Served, status: int) -> None:
    await copy.pull()
    await site.control("POST", "faults", match="writing/code", kind="status", status=status, times=0)
    await site.change("hide", path="docs/writing/code")
    for _ in range(3):
        await copy.pull()
        assert copy.told == []


@pytest.mark.parametrize("soft", [False, True])
async def test_site_that_says_found_to_everything_is_still_read_rightly(copy: Copy, site: Served, soft: bool) -> None:
    await site.settings(softNotFound=soft)
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    await site.change("remove", path="docs/writing/code")
    await copy.pull()
    await copy.pull()
    assert copy.told == [("deleted", CODE)]


async def test_lasting_redirect_is_a_rename_that_keeps_the_page(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("rename", path="docs/writing/code", to="docs/writing/fences")
    await copy.pull()
    assert copy.told == [("renamed", "page:/docusaurus/docs/writing/fences")]
    assert copy.paths == expected(await site.truth())


async def test_passing_redirect_is_no_rename(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("rename", path="docs/writing/code", to="docs/writing/fences", redirect="temporary")
    await copy.pull()
    assert copy.told == [("created", "page:/docusaurus/docs/writing/fences")]
    assert CODE in copy.objects


async def test_rename_without_redirect_is_a_new_page_and_later_a_gone_one(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("rename", path="docs/writing/code", to="docs/writing/fences", redirect="none")
    await copy.pull()
    assert copy.told == [("created", "page:/docusaurus/docs/writing/fences")]
    await copy.pull()
    assert copy.told == [("deleted", CODE)]


async def test_page_that_asks_not_to_be_indexed_goes_when_it_says_so_twice(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.change("hide", path="docs/writing/code")
    await copy.pull()
    assert copy.told == []
    await copy.pull()
    assert copy.told == [("deleted", CODE)]
    assert "indexed" in copy.proofs[CODE]


async def test_redirects_to_the_slash_form_are_no_moves(copy: Copy, site: Served) -> None:
    await site.settings(slashRedirects=True)
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    await site.settings(slashRedirects=False)
    await copy.pull()
    assert copy.told == []


async def test_crawl_goes_on_where_another_owner_left_it(copy: Copy, site: Served) -> None:
    await copy.pull(pages=1)
    first = len(copy.objects)
    assert 0 < first < len(expected(await site.truth()))
    site.asked.clear()
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    assert sum("/docs/" in path for path in site.asked) < len(copy.paths)


@pytest.mark.parametrize("sitemap", ["index", "gzip"])
async def test_sitemaps_of_sitemaps_and_packed_ones_are_read(copy: Copy, site: Served, sitemap: str) -> None:
    await site.settings(sitemap=sitemap)
    await copy.pull()
    assert copy.paths == expected(await site.truth())


@pytest.mark.parametrize("sitemap", ["off", "entities", "broken"])
async def test_site_without_a_readable_sitemap_is_followed_by_its_links(copy: Copy, site: Served, sitemap: str) -> None:
    await site.settings(sitemap=sitemap)
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    await site.change("rename", path="docs/events", to="docs/facts")
    await site.change("remove", path="docs/writing/tabs")
    await copy.pull()
    assert ("renamed", "page:/docusaurus/docs/facts") in copy.told
    await copy.pull()
    assert copy.told == [("deleted", "page:/docusaurus/docs/writing/tabs")]


async def test_sitemap_that_robots_names_is_found(copy: Copy, site: Served) -> None:
    await site.settings(sitemap="index", robots=f"Sitemap: {SITE}sitemap-a.xml\nSitemap: {SITE}sitemap-b.xml.gz\n")
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    assert "/docusaurus/sitemap.xml" not in site.asked


async def test_what_robots_forbids_is_not_asked_for(copy: Copy, site: Served) -> None:
    await site.settings(robots="User-agent: *\nAllow: /\nDisallow: /docusaurus/docs/writing\nDisallow: /*/events$\n")
    await copy.pull()
    assert not [path for path in site.asked if "/docs/writing" in path or path.endswith("docs/events")]
    assert "/docs/operating" in copy.paths


async def test_robots_rules_for_us_by_name_count_before_those_for_all(copy: Copy, site: Served) -> None:
    await site.settings(robots="User-agent: *\nDisallow: /\n\nUser-agent: Sluice\nAllow: /\n")
    await copy.pull()
    assert "/docs/operating" in copy.paths


async def test_every_version_is_read_when_the_settings_say_so(site: Served) -> None:
    copy = Copy(site, config={"versions": "all"})
    await copy.pull()
    assert copy.paths == expected(await site.truth(), unreleased=True)
    copy.config = {"versions": ["1.0"]}
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    assert all(change == "deleted" for change, _ in copy.told)


async def test_unreleased_version_costs_one_request_a_crawl(copy: Copy, site: Served) -> None:
    await copy.pull()
    assert sum("/docs/next" in path for path in site.asked) == 1


async def test_cap_is_told_when_it_is_met_and_forgotten_when_it_is_not(site: Served) -> None:
    copy = Copy(site, config={"maxPages": 12})
    await copy.pull()
    assert copy.quarantined["site:cap"].code == "page_cap"
    assert copy.certificate is not None
    assert not copy.certificate.complete
    copy.config = {}
    pages = await copy.pull()
    assert any(item.key == "site:cap" for item in pages[-1].items)
    assert copy.paths == expected(await site.truth())


async def test_preview_deploy_that_names_its_real_address_is_read_where_it_is(copy: Copy, site: Served) -> None:
    await site.settings(configuredUrl="https://docs.example.com")
    await copy.pull()
    assert copy.paths == expected(await site.truth())
    assert copy.objects[CODE].url == f"{SITE}docs/writing/code"


async def test_site_that_lost_most_of_its_pages_at_once_removes_none_itself(copy: Copy, site: Served) -> None:
    """Its certificate leaves them out; that so many may not go unasked is the engine's rule."""
    copy.believes = False
    await copy.pull()
    held = set(copy.objects)
    for path in sorted(expected(await site.truth()) - {"/"})[:-3]:
        await site.change("remove", path=path.strip("/"), gone=True)
    for _ in range(2):
        pages = await copy.pull()
        assert not [item for page in pages for item in page.items if isinstance(item, Removed)]
        assert set(copy.objects) == held
        assert copy.certificate is not None
        assert copy.certificate.complete
    copy.believes = True
    copy.config = {"largestRemoval": 1}
    await copy.pull()
    assert copy.paths == expected(await site.truth())


async def test_host_that_fails_in_a_row_is_away_and_nothing_is_lost(copy: Copy, site: Served) -> None:
    await copy.pull()
    await site.control("POST", "faults", match="docusaurus/docs/", kind="status", status=502, times=0)
    with pytest.raises(ProviderUnavailable, match="3 times in a row"):
        await copy.pull()
    await site.control("DELETE", "faults")
    await copy.pull()
    assert copy.told == []


async def test_limit_in_the_middle_keeps_what_was_read_and_says_when_to_come_back(copy: Copy, site: Served) -> None:
    await site.control("POST", "faults", match="docs/events", kind="rate_limit", retryAfter=7)
    with pytest.raises(RateLimited):
        await copy.pull()
    kept = len(copy.objects)
    assert kept
    await copy.pull()
    assert copy.paths == expected(await site.truth())


async def test_site_that_gives_one_page_at_a_time_is_read_to_its_end(copy: Copy, site: Served) -> None:
    """Also where that page is a list, of which nothing is kept: it is not asked for again."""
    answered, given = site.request, 0

    async def one_a_time(method: str, url: str, **rest: Any) -> Answered:
        nonlocal given
        given += "/blog" in url
        return Answered(429, {"retry-after": "1"}, b"", url) if given > 1 else await answered(method, url, **rest)

    site.request = one_a_time  # type: ignore[method-assign]
    for _ in range(30):
        given = 0
        try:
            await copy.pull()
            break
        except RateLimited:
            continue
    assert copy.paths == expected(await site.truth())


@pytest.mark.parametrize("trouble", ["deep", "attributes", "huge", "script"])
async def test_page_that_cannot_be_read_is_set_aside_and_the_others_are_read(
    copy: Copy, site: Served, trouble: str
) -> None:
    await site.change("answer", path="docs/writing/code", trouble=trouble)
    await copy.pull()
    assert CODE not in copy.objects
    assert copy.paths == expected(await site.truth()) - {"/docs/writing/code"}
    if trouble in ("deep", "attributes"):
        assert copy.quarantined[CODE].code == "page_too_deep"


async def test_one_page_again_is_read_whole_or_told_gone(copy: Copy, site: Served) -> None:
    await copy.pull()
    context = copy.context()
    await site.change("remove", path="docs/security", gone=True)
    await site.change("remove", path="docs/operating")
    ask = [
        Listed(key=CODE, type="page", revision=""),
        Listed(key="page:/docusaurus/docs/security", type="page", revision=""),
    ]
    found, gone = await FACET.fetch(context, ask)
    assert isinstance(found, Observed)
    assert found.content == copy.objects[CODE].content
    assert isinstance(gone, Gone)
    with pytest.raises(LostSight, match="next crawl"):
        await FACET.fetch(context, [Listed(key="page:/docusaurus/docs/operating", type="page", revision="")])


async def test_sites_of_an_integration_are_read_apart(site: Served) -> None:
    await site.control("POST", "sites", name="handbook")
    await site.control("POST", "change", op="add", path="docs/own", title="Own", text="only here", site="handbook")
    copy = Copy(site, config={"sites": [f"{SITE}~handbook/"]})
    first = await FACET.discover(copy.context(), None)
    second = await FACET.discover(copy.context(), first.next_cursor)
    assert [one.url for one in (*first.items, *second.items)] == [SITE, f"{SITE}~handbook/"]
    assert second.next_cursor is None
    await copy.select(f"{HOST}/docusaurus/~handbook")
    await copy.pull()
    assert "page:/docusaurus/~handbook/docs/own" in copy.objects
    assert all(key.startswith("page:/docusaurus/~handbook") for key in copy.objects)


@pytest.mark.parametrize("cursor", [{}, {"at": "one"}, {"at": -1}])
async def test_cursor_that_names_no_site_is_refused(copy: Copy, cursor: dict[str, object]) -> None:
    with pytest.raises(InvalidCursor):
        await FACET.discover(copy.context(), cursor)


async def test_address_below_the_first_page_bounds_the_site(copy: Copy, site: Served) -> None:
    await copy.select(f"{SITE}docs/writing/code")
    await copy.pull()
    assert copy.paths == {"/docs/writing/code"}
