"""A documentation site through the real engine: whatever is done to it, what is stored is what it shows."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from libs.providers import registry
from libs.providers.docusaurus.tests.copied import expected
from libs.providers.docusaurus.tests.served import SITE, Answered, Served, open_site
from services.sync.settings import SyncSettings
from services.sync.use_cases.asking import sync_integration
from services.sync.use_cases.deletions import decide
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker, Engine
from tests.support.figures import Tell, long_run

CHECKOUT = Path(__file__).resolve().parents[3]
ROUNDS = 8
WALLS = (401, 403, 404, 410, 500, 503)
BASE = "page:/docusaurus"


class SiteEngine(Engine):
    provider = "docusaurus"

    def __init__(self, site: Served, *parts: Any) -> None:
        self.site = site
        super().__init__(*parts)

    def facet(self) -> tuple[SyncFacet, Manifest]:
        return registry.facet("docusaurus", "sync"), registry.manifest("docusaurus")

    def open_http(self, provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        return GrantedHttp(self.site, api_url="", base_url="", token=token, validators=validators)

    async def begin(self, **config: Any) -> None:
        await self.sync(features=("pages",), config={"url": SITE, **config})

    async def stored(self) -> dict[str, dict[str, Any]]:
        """By path inside the mount."""
        return {key.removeprefix(BASE) or "/": row for key, row in (await self.sources()).items()}

    async def told(self) -> dict[str, set[str]]:
        """Change → paths, of the events since they were last forgotten."""
        rows = await self.admin.fetch("SELECT id, external_key FROM source")
        paths = {row["id"]: row["external_key"].removeprefix(BASE) or "/" for row in rows}
        found: dict[str, set[str]] = {}
        for event in await self.events():
            found.setdefault(event["change"], set()).add(paths[event["source_id"]])
        await self.forget_events()
        return found


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Served]:
    served = open_site(CHECKOUT, tmp_path)
    yield served
    await served.client.aclose()
    await served.sandbox.close()


@pytest.fixture
async def sites(
    site: Served, settings: SyncSettings, admin: asyncpg.Connection[asyncpg.Record]
) -> AsyncIterator[SiteEngine]:
    made = SiteEngine(site, settings, World(), Broker(), admin)
    yield made
    await made.close()


class Gardener:
    """Does random things to the site, and knows what a faithful copy must say of them."""

    def __init__(self, site: Served, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        self.walled: set[str] = set()
        self.names = 0
        self.renamed: dict[str, str] = {}

    async def round(self) -> None:
        self.renamed = {}
        touched: set[str] = set()
        for _ in range(self.random.randint(1, 6)):
            free = sorted(expected(await self.site.truth()) - self.walled - touched - {"/"})
            act = self.random.choice([self.add, self.edit, self.rename, self.remove, self.wall, self.unwall])
            touched |= await act(self.random.choice(free))
        await self.site.change("rebuild")

    async def add(self, near: str) -> set[str]:
        self.names += 1
        path = f"docs/added-{self.names}"
        await self.site.change("add", path=path, title=f"Added {self.names}", text=f"Word {self.names}.")
        return {f"/{path}"}

    async def edit(self, path: str) -> set[str]:
        self.names += 1
        await self.site.change("edit", path=path[1:], text=f"Edit {self.names} & more.")
        return {path}

    async def rename(self, path: str) -> set[str]:
        self.names += 1
        to = f"/docs/renamed-{self.names}"
        await self.site.change("rename", path=path[1:], to=to[1:])
        self.renamed[to] = path
        return {path, to}

    async def remove(self, path: str) -> set[str]:
        await self.site.change("remove", path=path[1:], gone=self.random.random() < 0.5)
        return {path}

    async def wall(self, path: str) -> set[str]:
        await self.site.change("answer", path=path[1:], status=self.random.choice(WALLS))
        self.walled.add(path)
        return {path}

    async def unwall(self, _: str) -> set[str]:
        for path in self.walled:
            await self.site.change("answer", path=path[1:])
        open_again, self.walled = self.walled, set()
        return open_again


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_site_rebuilt_at_random_is_stored_exactly_and_told_exactly(
    sites: SiteEngine, site: Served, seed: int
) -> None:
    await sites.begin()
    assert set(await sites.stored()) == expected(await site.truth())
    await sites.told()
    read = {path: page["contentHash"] for path, page in (await site.truth()).items()}
    gardener = Gardener(site, seed)
    for _ in range(ROUNDS):
        before = set(await sites.stored())
        await gardener.round()
        await sites.again()
        told = await sites.told()
        truth = await site.truth()
        live = {path for path in expected(truth) if path not in gardener.walled or path in before}
        moved = {new for new, old in gardener.renamed.items() if old in before}
        hashes = {path: truth[path]["contentHash"] for path in live}
        assert told.get("renamed", set()) == moved
        assert told.get("created", set()) == live - before - moved
        changed = {path for path in live & before if hashes[path] != read[path] and path not in gardener.walled}
        assert told.get("updated", set()) == changed
        await sites.again()
        later = await sites.told()
        assert set(later) <= {"deleted"}
        assert told.get("deleted", set()) | later.get("deleted", set()) == before - live - set(
            gardener.renamed.values()
        )
        assert set(await sites.stored()) == live
        read |= {path: hashes[path] for path in live if path not in gardener.walled}
        await sites.again()
        await site.change("rebuild")
        await sites.again()
        assert await sites.told() == {}


async def test_renamed_page_keeps_its_source_and_tells_its_old_path(sites: SiteEngine, site: Served) -> None:
    await sites.begin()
    before = (await sites.stored())["/docs/events"]
    await sites.forget_events()
    await site.change("rename", path="docs/events", to="docs/facts")
    await sites.again()
    (event,) = await sites.events()
    after = (await sites.stored())["/docs/facts"]
    assert (event["change"], event["previous_path"]) == ("renamed", "/docusaurus/docs/events")
    assert (event["source_id"], event["url"]) == (before["id"], f"{SITE}docs/facts")
    assert after["id"] == before["id"]


async def test_unchanged_rebuild_writes_no_row(sites: SiteEngine, site: Served) -> None:
    await sites.begin()
    written = await sites.one("SELECT max(seen_at) FROM source")
    await sites.forget_events()
    await site.change("rebuild")
    await sites.again()
    assert await sites.events() == []
    assert await sites.one("SELECT max(seen_at) FROM source") == written


async def test_site_at_rest_costs_one_small_answer_a_page(sites: SiteEngine, site: Served) -> None:
    await sites.begin()
    pages = len(await sites.stored())
    await site.control("DELETE", "requests")
    await sites.again()
    counts = (await site.control("GET", "requests"))["counts"]
    assert counts["notModified"] >= pages
    assert counts["total"] <= pages + 20


async def test_site_that_became_a_login_page_is_lost_sight_of_and_nothing_is_deleted(
    sites: SiteEngine, site: Served
) -> None:
    await sites.begin()
    before = await sites.stored()
    await site.settings(loginWall="page")
    await sites.again()
    run = await sites.run()
    assert run["state"] == "failed"
    assert "asks to log in" in run["error"]
    assert set(await sites.stored()) == set(before)
    await site.settings(loginWall="off")
    await sites.again()
    assert (await sites.run())["state"] == "succeeded"


async def test_site_that_lost_most_pages_is_held_for_approval_and_goes_when_told(
    sites: SiteEngine, site: Served
) -> None:
    await sites.begin()
    before = set(await sites.stored())
    for path in sorted(before - {"/"})[:-3]:
        await site.change("remove", path=path[1:], gone=True)
    found = set()
    for _ in range(2):
        await sites.again()
        assert (await sites.run())["state"] == "succeeded"
        assert await sites.one("SELECT error_code FROM resource") == "deletions_held"
        assert set(await sites.stored()) == before
        found.add(await sites.one("SELECT id FROM held_deletion WHERE state = 'held'"))
    [held] = found  # looked at again, it is the same question
    await decide(held, "applied", deps=sites.deps, workspace=sites.workspace, by="ada")
    assert set(await sites.stored()) == expected(await site.truth())
    assert await sites.one("SELECT error_code FROM resource") is None


async def test_limited_site_is_parked_and_gone_on_with(sites: SiteEngine, site: Served) -> None:
    await site.control("POST", "faults", match="docs/events", kind="rate_limit", retryAfter=3600)
    await sites.begin()
    run = await sites.run()
    assert run["state"] != "succeeded"
    kept = set(await sites.stored())
    assert kept
    await sites.admin.execute("UPDATE work SET run_at = now(), parked_until = NULL")
    await sites.work()
    assert set(await sites.stored()) == expected(await site.truth())


class Meddled:
    """Answers one request of a crawl, the `at`-th, in its own way."""

    def __init__(self, site: Served) -> None:
        self.real, self.count, self.at, self.status = site.request, 0, 0, 200
        site.request = self.request  # type: ignore[method-assign]

    async def request(self, method: str, url: str, **given: Any) -> Answered:
        self.count += 1
        answer = await self.real(method, url, **given)
        if self.count != self.at:
            return answer
        if not self.status:
            return Answered(answer.status, answer.headers, answer.body[: len(answer.body) // 2], answer.url)
        return Answered(self.status, {"content-type": "text/html"}, b"<p>no</p>", answer.url)


async def test_nothing_is_deleted_whatever_meets_a_crawl_at_any_of_its_requests(
    sites: SiteEngine, site: Served, figure: Tell
) -> None:
    """0 stands for an answer that is cut off."""
    await sites.begin()
    before = set(await sites.stored())
    meddled = Meddled(site)
    await sites.again()
    requests, injected = meddled.count, 0
    statuses = (*WALLS, 429, 451, 0)
    for at in range(1, requests + 1):
        for status in statuses if long_run() else (statuses[at % 9], statuses[(at + 4) % 9]):
            for table in ("work", "run_resource", "run", "sweep", "listing_seen"):
                await sites.admin.execute(f"DELETE FROM {table}")
            await sites.admin.execute("UPDATE resource_stream SET cursor = NULL")
            meddled.count, meddled.at, meddled.status = 0, at, status
            await sync_integration(sites.integration, deps=sites.deps, workspace=sites.workspace, full=True)
            await sites.executor.step()
            injected += 1
            gone = await sites.one("SELECT string_agg(external_key || ': ' || proof, '; ') FROM source WHERE tombstone")
            assert gone is None, (at, status, gone)
    figure("false_deletes_docusaurus", 0, "deleted", injected)
    assert set(await sites.stored()) == before
