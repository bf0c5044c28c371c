"""Deliveries that failed at the played GitHub are looked for and sent again, until all of them have arrived."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.clock import FixedClock, SystemClock
from libs.common.errors import AuthRevoked, ProviderUnavailable
from libs.common.internal import AccessToken
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.testing.eventually import eventually
from libs.providers import registry
from libs.providers.github.tests.played import HOST, TOKEN, Wire, open_sandbox
from libs.sandbox.app import Sandbox
from libs.sandbox.deliveries import Delivery
from services.webhooks.app import create_job_worker, create_missed_review
from services.webhooks.deps import Deps
from services.webhooks.domain import LEAST_BETWEEN_LOOKS
from services.webhooks.use_cases.hooks import settle_hook
from services.webhooks.use_cases.missed import (
    ASK_FOR_MISSED,
    LOOK_AGAIN,
    LOOK_FOR_MISSED,
    MOST_ASKED,
    ask_for_missed,
    look_for_missed,
    review_missed,
)
from tests.integration.webhooks.doubles import Lender
from tests.integration.webhooks.world import AUTH, World
from tests.support.figures import Tell, sized

REPOSITORY = "sandbox/missed"


class Hub:
    """One monitored repository of the played GitHub, whose hook posts to the running service."""

    def __init__(self, world: World, deps: Deps, clock: FixedClock, sandbox: Sandbox) -> None:
        self.world, self.clock, self.sandbox, self.wire = world, clock, sandbox, Wire(sandbox)
        self.token = TOKEN
        public = msgspec.structs.replace(deps.settings, public_url=str(world.http.base_url))
        self.deps = replace(deps, settings=public, granted=self.granted, clock=clock)

    def granted(self, manifest: Manifest, token: AccessToken, **_: str) -> GrantedHttp:
        return GrantedHttp(self.wire, api_url=f"{HOST}/github/api", base_url=f"{HOST}/github", token=self.token)

    async def begin(self) -> None:
        made = await self.change("create_repository", fullName=REPOSITORY, files={"README.md": "# Missed\n"})
        await self.world.update(monitor=True)
        await self.world.select(REPOSITORY, external_id=str(made["id"]))
        for subscription in await self.world.jobs():
            await settle_hook(deps=self.deps, workspace=self.world.workspace, subscription_id=subscription)
        await self.world.admin.execute("DELETE FROM job WHERE workspace_id = $1", self.world.workspace)
        await self.settled()
        self.clock.move(LEAST_BETWEEN_LOOKS * 2)

    # At the provider

    async def control(self, route: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self.wire.client.post(f"/_control/github/{route}", json=body or {})
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def change(self, op: str, **more: Any) -> Any:
        return await self.control("change", {"op": op, "repository": REPOSITORY, **more})

    async def drop(self, dropping: bool = True) -> None:
        await self.control("settings", {"deliverHooks": not dropping})

    async def open_issues(self, count: int) -> None:
        for at in range(count):
            await self.change("open_issue", title=f"Missed {at}")
        await self.settled()

    async def settled(self) -> None:
        await self.sandbox.mounts["github"].deliveries.settled()

    def attempts(self) -> list[Delivery]:
        return self.sandbox.mounts["github"].deliveries.listed()

    def sent_again(self) -> Counter[str]:
        return Counter(one.guid for one in self.attempts() if one.redelivery)

    # In Sluice

    async def look(self) -> None:
        """What the loop and the job worker do, of this workspace alone; each job that is due once at least."""
        await review_missed(deps=self.deps, started=self.clock.now())
        while (job := await self._next_job()) is not None:
            payload = msgspec.json.decode(job["payload"])
            given = {"deps": self.deps, "workspace": self.world.workspace}
            if job["kind"] == LOOK_FOR_MISSED:
                before = datetime.fromisoformat(payload.pop("before"))
                await look_for_missed(**given, **payload, before=before)
            else:
                await ask_for_missed(**given, **payload)
            self.clock.move(timedelta(seconds=1))
        await self.settled()

    async def _next_job(self) -> Any:
        return await self.world.admin.fetchrow(
            "DELETE FROM job WHERE id = (SELECT id FROM job WHERE workspace_id = $1 AND kind = ANY($2)"
            " AND run_at <= $3 ORDER BY run_at LIMIT 1) RETURNING kind, payload",
            self.world.workspace,
            [LOOK_FOR_MISSED, ASK_FOR_MISSED],
            self.clock.now(),
        )

    async def later(self, by: timedelta = LEAST_BETWEEN_LOOKS) -> None:
        self.clock.move(by)
        await self.look()

    async def subscription(self) -> dict[str, Any]:
        shown = await self.world.http.get(f"{self.world.path}/subscriptions", headers=AUTH)
        (found,) = shown.json()["items"]
        return dict(found)

    async def arrived(self) -> set[str]:
        rows = await self.world.admin.fetch(
            "SELECT delivery_key FROM delivery WHERE workspace_id = $1", self.world.workspace
        )
        return {row["delivery_key"] for row in rows}

    async def hinted(self) -> list[str]:
        told = await self.world.told("webhook.received")
        return sorted(key for event in told for hint in event["hints"] for key in hint["keys"])


@pytest.fixture
async def hub(world: World, deps: Deps, tmp_path: Path) -> AsyncIterator[Hub]:
    root = tmp_path / "root"
    root.mkdir()
    sandbox = open_sandbox(root, tmp_path / "state")
    made = Hub(world, deps, FixedClock(datetime.now(UTC) - LEAST_BETWEEN_LOOKS * 2), sandbox)
    await made.begin()
    yield made
    await made.wire.client.aclose()
    await sandbox.close()


async def test_every_dropped_delivery_is_asked_for_once_and_none_is_missing(hub: Hub, figure: Tell) -> None:
    """F19, second variant: more than a page of deliveries fails while nobody answers."""
    count = sized(120, 1_000)
    await hub.open_issues(1)
    await hub.look()
    await hub.drop()
    await hub.open_issues(count)
    await hub.drop(False)
    await hub.open_issues(1)
    before = await hub.arrived()
    await hub.later()
    asked, every = hub.sent_again(), {one.guid for one in hub.attempts()}
    missing = every - await hub.arrived()
    figure("F19_redelivered", sum(asked.values()), "asked", count)
    figure("F19_missing", len(missing), "deliveries", len(every))
    assert set(asked.values()) == {1}
    assert (len(asked), missing) == (count, set())
    assert asked.keys() & before == set()
    assert await hub.hinted() == sorted(f"issue:{number}" for number in range(1, count + 3))
    assert (await hub.subscription())["missed"] == 0


async def test_hook_that_was_just_made_is_not_looked_through(hub: Hub) -> None:
    hub.clock.move(-LEAST_BETWEEN_LOOKS * 2)
    asked = len(hub.wire.asked)
    await hub.look()
    assert len(hub.wire.asked) == asked


async def test_next_look_asks_for_nothing_again(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(2)
    await hub.drop(False)
    await hub.look()
    asked = hub.sent_again()
    await hub.later()
    assert hub.sent_again() == asked


async def test_delivery_that_was_stored_is_not_asked_for(hub: Hub) -> None:
    """We had it, and the provider never heard our answer."""
    await hub.drop()
    await hub.open_issues(1)
    (failed,) = [one for one in hub.attempts() if one.state == "failed"]
    stored = await hub.world.http.post(failed.url, content=failed.body.encode(), headers=failed.headers)
    assert stored.status_code == 202
    await hub.look()
    assert hub.sent_again() == Counter()
    assert (await hub.subscription())["missed"] == 0


async def test_delivery_sent_twice_is_kept_and_told_once(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(1)
    await hub.drop(False)
    await hub.look()
    (again,) = [one for one in hub.attempts() if one.redelivery]
    await hub.control("deliveries", {"id": again.id})
    await hub.settled()
    assert await hub.hinted() == ["issue:1"]


async def test_delivery_that_fails_again_is_asked_for_a_few_times_only(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(1)
    for _ in range(MOST_ASKED + 2):
        await hub.later()
    assert list(hub.sent_again().values()) == [MOST_ASKED]
    assert (await hub.subscription())["missed"] == 1


async def test_delivery_older_than_the_provider_keeps_is_not_asked_for(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(1)
    await hub.later(timedelta(hours=73))
    assert hub.sent_again() == Counter()


async def test_delivery_that_the_provider_no_longer_keeps_ends_its_asking(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(2)
    await hub.drop(False)
    await review_missed(deps=hub.deps, started=hub.clock.now())
    job = await hub._next_job()
    payload = msgspec.json.decode(job["payload"])
    before = datetime.fromisoformat(payload.pop("before"))
    await look_for_missed(deps=hub.deps, workspace=hub.world.workspace, before=before, **payload)
    await hub.control("settings", {"clockAhead": 4 * 24 * 3600})
    await hub.look()
    assert hub.sent_again() == Counter()
    assert await hub.world.admin.fetchval(
        "SELECT array_agg(asked) FROM missed_delivery WHERE workspace_id = $1", hub.world.workspace
    ) == [1, 1]


async def test_token_that_may_not_see_hooks_is_a_state_and_not_a_loop(hub: Hub) -> None:
    weak = (await hub.control("tokens", {"scopes": ["read:user"]}))["token"]
    await hub.drop()
    await hub.open_issues(1)
    await hub.drop(False)
    hub.token = weak
    await hub.look()
    asked = len(hub.wire.asked)
    shown = await hub.subscription()
    assert (shown["state"], shown["lookCode"]) == ("active", "lost_sight")
    assert "admin rights" in shown["lookDetail"]
    await hub.later()
    assert len(hub.wire.asked) == asked
    hub.token = TOKEN
    await hub.later(LOOK_AGAIN)
    assert (await hub.subscription())["lookCode"] == ""
    assert list(hub.sent_again().values()) == [1]


async def test_grant_that_is_gone_is_a_state_and_nobody_is_asked(hub: Hub, lender: Lender) -> None:
    lender.error = AuthRevoked()
    asked = len(hub.wire.asked)
    await hub.look()
    assert (await hub.subscription())["lookCode"] == "auth_revoked"
    assert len(hub.wire.asked) == asked


async def test_provider_that_is_away_is_raised_so_that_the_job_comes_again(hub: Hub) -> None:
    await hub.control("faults", {"match": "/deliveries", "kind": "status", "status": 503, "times": 1})
    with pytest.raises(ProviderUnavailable):
        await hub.look()
    assert (await hub.subscription())["lookCode"] == "provider_unavailable"


async def test_budget_that_is_nearly_used_up_is_left_to_the_sync(hub: Hub) -> None:
    await hub.drop()
    await hub.open_issues(3)
    await hub.drop(False)
    await hub.control("settings", {"rateLimit": 1 + len(hub.wire.asked)})
    await hub.look()
    assert hub.sent_again() == Counter()
    waits = await hub.world.admin.fetchval(
        "SELECT run_at FROM job WHERE workspace_id = $1 AND kind = $2", hub.world.workspace, ASK_FOR_MISSED
    )
    assert waits - datetime.now(UTC) > timedelta(minutes=30)
    await hub.control("settings", {"rateLimit": 5000})
    hub.clock.move(timedelta(hours=1))
    await hub.look()
    assert list(hub.sent_again().values()) == [1, 1, 1]


async def test_hook_of_a_provider_that_keeps_nothing_is_never_looked_through(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = registry.manifest("github")
    scheme = msgspec.structs.replace(manifest.webhook, missed_hours=0)
    other = msgspec.structs.replace(manifest, webhook=scheme)
    monkeypatch.setattr(registry, "manifest", lambda name: other)
    asked = len(hub.wire.asked)
    for _ in range(2):
        await hub.later(timedelta(days=1))
    assert len(hub.wire.asked) == asked
    assert (await hub.subscription())["lookedAt"] is None


async def test_service_that_starts_after_downtime_asks_by_itself(hub: Hub) -> None:
    await hub.look()
    await hub.drop()
    await hub.open_issues(2)
    await hub.drop(False)
    await hub.world.admin.execute("UPDATE subscription SET looked_at = looked_at - interval '1 minute'")
    async with hub.deps.db.queue() as tx:  # what other tests left has hooks of other played providers
        await tx.execute("DELETE FROM job WHERE workspace_id <> :workspace", workspace=hub.world.workspace)
    await hub.world.admin.execute(
        "UPDATE subscription SET wanted = false WHERE workspace_id <> $1", hub.world.workspace
    )
    stop = asyncio.Event()
    deps = replace(hub.deps, clock=SystemClock())
    parts = [create_missed_review(deps), create_job_worker(deps)]
    running = [asyncio.create_task(part.run(stop)) for part in parts]
    try:
        await eventually(lambda: list(hub.sent_again().values()) == [1, 1], timeout=20)
    finally:
        stop.set()
        await asyncio.gather(*running)
    await hub.settled()  # what was sent again is on its way
    assert await hub.hinted() == ["issue:1", "issue:2"]
