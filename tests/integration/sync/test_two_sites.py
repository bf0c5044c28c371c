"""Two sites of one integration have a cursor, a schedule and a state each: what meets one is not the other's affair."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.providers.docusaurus.sandbox import DocusaurusStandIn
from libs.providers.docusaurus.tests.copied import expected
from libs.providers.docusaurus.tests.served import HOST, SITE, Served
from libs.sandbox.app import Sandbox
from services.sync.settings import SyncSettings
from tests.integration.sync.conftest import API_KEY
from tests.integration.sync.double import World
from tests.integration.sync.engine import Broker
from tests.integration.sync.test_sites import CHECKOUT, SiteEngine

OTHER = f"{HOST}/handbook/"
MOUNTS = {SITE: "docusaurus", OTHER: "handbook"}


class TwoSites(SiteEngine):
    async def begin(self, **config: Any) -> None:
        given = {"url": SITE, "sites": [OTHER], **config}
        await self.sync(features=("pages",), config=given, polling_enabled=True, polling_interval=60)

    async def control(self, site: str, route: str, **body: Any) -> Any:
        answer = await self.site.client.post(f"/_control/{MOUNTS[site]}/{route}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def truth(self, site: str) -> set[str]:
        pages = (await self.site.client.get(f"/_control/{MOUNTS[site]}/truth")).json()["pages"]
        return expected({page["path"]: page for page in pages})

    async def pages(self, site: str) -> set[str]:
        rows = await self.admin.fetch(
            "SELECT external_key FROM source s JOIN resource r ON r.id = s.resource_id"
            " WHERE r.url = $1 AND NOT s.tombstone",
            site,
        )
        return {row["external_key"].removeprefix(f"page:/{MOUNTS[site]}") or "/" for row in rows}

    async def of(self, site: str) -> dict[str, Any]:
        """What is kept of one of them alone."""
        row = await self.admin.fetchrow(
            "SELECT r.state, r.error_code, r.error_count, r.last_polled_at, r.last_complete_at,"
            " p.next_poll_at, p.every, p.reason, s.cursor, s.cursor_version FROM resource r"
            " JOIN poll_schedule p ON p.resource_id = r.id JOIN resource_stream s ON s.resource_id = r.id"
            " WHERE r.url = $1",
            site,
        )
        return dict(row)

    async def asked(self) -> Counter[str]:
        """How often each was asked since this was asked."""
        mounts = Counter(path.split("/")[1] for path in self.site.asked)
        self.site.asked.clear()
        return Counter({site: mounts[mount] for site, mount in MOUNTS.items()})


@pytest.fixture
async def two(
    settings: SyncSettings, admin: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> AsyncIterator[TwoSites]:
    stands = dict.fromkeys(MOUNTS.values(), DocusaurusStandIn)
    served = Served(Sandbox(CHECKOUT, tmp_path, stands))
    made = TwoSites(served, settings, World(), Broker(), admin)
    yield made
    await made.close()
    await served.client.aclose()
    await served.sandbox.close()


async def test_each_site_is_a_resource_whose_pages_are_all_there(two: TwoSites) -> None:
    await two.begin()
    for site in MOUNTS:
        assert await two.pages(site) == await two.truth(site)
        kept = await two.of(site)
        assert (kept["state"], kept["error_code"]) == ("idle", None)
        assert kept["last_complete_at"] is not None
        assert kept["next_poll_at"] is not None


async def test_site_that_fails_keeps_its_trouble_to_itself(two: TwoSites) -> None:
    await two.begin()
    before, pages = await two.of(SITE), await two.pages(OTHER)
    await two.control(OTHER, "settings", loginWall="page")
    await two.control(SITE, "change", op="edit", path="docs/events", text="Edited while the other is away.")
    await two.control(SITE, "change", op="rebuild")
    await two.forget_events()
    await two.again()
    fine, failing = await two.of(SITE), await two.of(OTHER)
    assert (fine["state"], fine["error_code"], fine["error_count"]) == ("idle", None, 0)
    assert fine["last_complete_at"] > before["last_complete_at"]
    assert (failing["state"], failing["error_code"]) == ("error", "lost_sight")
    assert failing["last_complete_at"] < fine["last_complete_at"]
    assert await two.pages(OTHER) == pages
    assert await two.told() == {"updated": {"/docs/events"}}


async def test_site_goes_on_at_its_own_cursor_while_the_other_is_done(two: TwoSites) -> None:
    await two.site.client.post(
        "/_control/handbook/faults", json={"match": "docs/events", "kind": "rate_limit", "retryAfter": 3600}
    )
    await two.begin()
    done, parked = await two.of(SITE), await two.of(OTHER)
    assert await two.pages(SITE) == await two.truth(SITE)
    assert (done["last_complete_at"] is not None, parked["last_complete_at"]) == (True, None)
    assert parked["cursor"] != done["cursor"]
    held = await two.pages(OTHER)
    assert set() < held < await two.truth(OTHER)
    await two.asked()
    await two.admin.execute("UPDATE work SET run_at = now(), parked_until = NULL")
    await two.work()
    asked = await two.asked()
    assert await two.pages(OTHER) == await two.truth(OTHER)
    assert (asked[SITE], 0 < asked[OTHER] < 2 * len(await two.truth(OTHER))) == (0, True)
    assert await two.of(SITE) == done


async def test_site_that_changes_is_looked_at_sooner_and_the_quiet_one_is_not(two: TwoSites) -> None:
    await two.begin()
    for round_ in range(3):
        await two.control(SITE, "change", op="edit", path="docs/events", text=f"Edit {round_}.")
        await two.control(SITE, "change", op="rebuild")
        await two.due()
        await two.schedule()
        await two.work()
    lively, quiet = await two.of(SITE), await two.of(OTHER)
    assert lively["reason"].startswith("changes came at 3 of the last")
    assert quiet["reason"].startswith("quiet")
    assert lively["every"] < quiet["every"]
    assert lively["next_poll_at"] < quiet["next_poll_at"]
    await two.asked()
    await two.admin.execute(
        "UPDATE poll_schedule SET due_at = now(), next_poll_at = now() WHERE resource_id ="
        " (SELECT id FROM resource WHERE url = $1)",
        OTHER,
    )
    await two.schedule()
    await two.work()
    asked = await two.asked()
    assert (asked[SITE], asked[OTHER] > 0) == (0, True)


async def test_picker_shows_both_and_deselecting_one_takes_its_pages_alone(two: TwoSites) -> None:
    await two.begin()
    transport = httpx.ASGITransport(app=two.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as api:
        shown = (await api.get(f"/v1/integrations/{two.integration}/resources?selected=true")).json()["selected"]
    assert {one["url"]: one["state"] for one in shown} == dict.fromkeys(MOUNTS, "idle")
    assert all(one["nextPollAt"] and one["freshness"] for one in shown)
    await two.choose(SITE)
    await two.clean()
    assert await two.pages(SITE) == await two.truth(SITE)
    assert await two.pages(OTHER) == set()
