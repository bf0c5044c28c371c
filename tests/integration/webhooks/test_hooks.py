"""Hooks at the provider follow what is wanted; auth is told their state in absolute values."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.clock import FixedClock
from libs.common.errors import AuthRevoked, BreakerOpen, LostSight, ProviderUnavailable, RateLimited, RetryAfter
from libs.common.events import IntegrationConnected, ResourceSelected, WorkspaceDeleted
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from services.webhooks.app import create_hook_review, create_job_worker
from services.webhooks.consumers import consumers
from services.webhooks.deps import Deps
from services.webhooks.use_cases import follow
from services.webhooks.use_cases.hooks import settle_hook
from services.webhooks.use_cases.review import review_hooks
from tests.integration.webhooks.doubles import HooksApi, Lender
from tests.integration.webhooks.world import AUTH, World, desired, recorded


async def subscriptions(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.http.get(f"{world.path}/subscriptions", headers=AUTH)).json()["items"]
    return found


async def test_monitoring_registers_the_hook_of_each_selected_resource(
    world: World, provider: HooksApi, lender: Lender
) -> None:
    await world.select()
    assert await world.jobs() == []
    await world.update(monitor=True)
    await world.run_jobs()
    (hook,) = provider.hooks.values()
    (item,) = await subscriptions(world)
    assert hook == {"url": f"https://hooks.example{world.url}", "secret": world.secret}
    assert (item["state"], item["hookId"], item["name"]) == ("active", "101", "octo/hello")
    assert await world.hook_states() == ["registering", "active"]
    assert lender.purposes == ["hooks"]


async def test_resource_selected_while_monitoring_gets_its_hook(world: World, provider: HooksApi) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()
    assert len(provider.hooks) == 1


async def test_reported_state_has_growing_versions_and_counts(world: World) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()
    events = await world.told("webhook.subscription_changed")
    versions = [event["version"] for event in events]
    assert versions == sorted(set(versions))
    assert (events[-1]["state"], events[-1]["subscriptions"]) == ("active", 1)


@pytest.mark.parametrize("way", ["switched off", "paused", "deselected", "disconnected"])
async def test_hook_is_removed_when_it_is_no_longer_wanted(
    world: World, provider: HooksApi, lender: Lender, way: str
) -> None:
    await world.update(monitor=True)
    selected = await world.select()
    await world.run_jobs()
    match way:
        case "switched off":
            await world.update(monitor=False)
        case "paused":
            await world.update(monitor=True, status="inactive")
        case "deselected":
            await world.deselect(selected)
        case _:
            await world.disconnect()
    await world.run_jobs()
    assert provider.hooks == {}
    assert lender.purposes[-1] == ("teardown" if way == "disconnected" else "hooks")
    assert (await world.hook_states())[-1] == ("removed" if way == "disconnected" else "none")


async def test_disconnect_without_hooks_is_acknowledged_at_once(world: World) -> None:
    await world.disconnect()
    assert await world.hook_states() == ["removed"]


async def test_older_and_repeated_events_change_nothing(world: World, deps: Deps) -> None:
    event = await world.update(monitor=True)
    await world.select()
    await world.disconnect()
    before = (await world.jobs(), await world.hook_states())
    await follow.follow_integration(event, deps=deps)
    assert (await world.jobs(), await world.hook_states()) == before


async def test_selection_heard_before_its_integration_gets_its_hook_after_it(deps: Deps, world: World) -> None:
    early = {"workspace_id": world.workspace, "integration_id": new_id(), "provider": "github"}
    selected = ResourceSelected(
        **early, resource_id=new_id(), kind="repository", external_id="1", name="octo/early", version=1
    )
    await follow.follow_resource(selected, deps=deps)
    assert await world.jobs() == []
    connected = IntegrationConnected(**early, version=1, state=desired(monitor=True), account_id="1")
    await follow.follow_integration(connected, deps=deps)
    assert len(await world.jobs()) == 1


async def test_settling_twice_asks_the_provider_once(world: World, deps: Deps, provider: HooksApi) -> None:
    await world.update(monitor=True)
    await world.select()
    jobs = await world.jobs()
    await world.run_jobs()
    asked = len(provider.asked)
    await settle_hook(deps=deps, workspace=world.workspace, subscription_id=jobs[0])
    assert len(provider.asked) == asked


async def test_hook_made_before_a_crash_is_found_and_not_doubled(world: World, provider: HooksApi) -> None:
    provider.hooks[7] = {"url": f"https://hooks.example{world.url}", "secret": "of another time"}
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()
    assert provider.hooks == {7: {"url": f"https://hooks.example{world.url}", "secret": world.secret}}
    assert [item["hookId"] for item in await subscriptions(world)] == ["7"]


async def test_rotated_secret_reaches_the_hook(world: World, provider: HooksApi) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()
    answer = await world.http.post(f"{world.path}/webhook-endpoint/rotate", headers=AUTH)
    await world.run_jobs()
    assert [hook["secret"] for hook in provider.hooks.values()] == [answer.json()["secret"]]


async def monitored(world: World) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()


def moved(deps: Deps, public_url: str) -> Deps:
    """The same installation under another public address, as after a restart."""
    return replace(deps, settings=msgspec.structs.replace(deps.settings, public_url=public_url))


async def test_hook_follows_a_moved_public_address_and_the_old_one_goes(
    world: World, deps: Deps, provider: HooksApi
) -> None:
    await monitored(world)
    elsewhere = moved(deps, "https://moved.example")
    await review_hooks(deps=elsewhere)
    await world.run_jobs(elsewhere)
    assert provider.hooks == {102: {"url": f"https://moved.example{world.url}", "secret": world.secret}}
    assert [(item["hookId"], item["state"]) for item in await subscriptions(world)] == [("102", "active")]
    assert [verb for verb, _ in provider.asked] == ["POST", "POST", "DELETE"]
    assert (await world.hook_states())[-1] == "active"


async def test_service_that_starts_under_another_address_looks_at_its_hooks_at_once(world: World, deps: Deps) -> None:
    await monitored(world)
    stop = asyncio.Event()
    looking = asyncio.create_task(create_hook_review(moved(deps, "https://restarted.example")).run(stop))
    try:
        await eventually(world.jobs)
    finally:
        stop.set()
        await looking


async def test_move_that_died_before_it_was_noted_leaves_no_hook_behind(
    world: World, deps: Deps, provider: HooksApi, lender: Lender
) -> None:
    await monitored(world)
    elsewhere = moved(deps, "https://moved.example")
    provider.hooks[150] = {"url": f"https://moved.example{world.url}", "secret": "of the call that died"}
    await review_hooks(deps=elsewhere)
    await world.run_jobs(elsewhere)
    assert provider.hooks == {150: {"url": f"https://moved.example{world.url}", "secret": world.secret}}


async def test_hook_deleted_by_hand_is_made_again_at_the_next_check(
    world: World, deps: Deps, provider: HooksApi, clock: FixedClock
) -> None:
    await monitored(world)
    provider.hooks.clear()
    await review_hooks(deps=deps)
    assert await world.jobs() == []
    clock.move(timedelta(minutes=deps.settings.hook_check_minutes + 1))
    await review_hooks(deps=deps)
    await world.run_jobs()
    assert [hook["url"] for hook in provider.hooks.values()] == [f"https://hooks.example{world.url}"]
    assert [item["hookId"] for item in await subscriptions(world)] == ["102"]


async def test_check_of_a_standing_hook_keeps_it_and_notes_when(
    world: World, deps: Deps, provider: HooksApi, clock: FixedClock
) -> None:
    await monitored(world)
    before = (await subscriptions(world))[0]["assertedAt"]
    clock.move(timedelta(minutes=deps.settings.hook_check_minutes + 1))
    await review_hooks(deps=deps)
    await world.run_jobs()
    (after,) = await subscriptions(world)
    assert list(provider.hooks) == [101]
    assert (after["hookId"], after["assertedAt"] > before) == ("101", True)


async def test_hooks_that_are_not_wanted_are_not_looked_after(world: World, deps: Deps, provider: HooksApi) -> None:
    await monitored(world)
    await world.update(monitor=False)
    await world.run_jobs()
    await review_hooks(deps=moved(deps, "https://moved.example"))
    assert await world.jobs() == []
    assert provider.hooks == {}


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(503, ProviderUnavailable, "provider_unavailable"), (404, LostSight, "lost_sight")],
)
async def test_refused_registration_is_recorded_told_and_recovers(
    world: World, provider: HooksApi, status: int, error: type[Exception], code: str
) -> None:
    provider.refuse_with = status
    await world.update(monitor=True)
    await world.select()
    with pytest.raises(error):
        await world.run_jobs()
    (item,) = await subscriptions(world)
    assert (item["state"], item["code"]) == ("failing", code)
    event = (await world.told("webhook.subscription_changed"))[-1]
    assert (event["state"], event["detail"]) == ("failing", item["detail"])
    provider.refuse_with = None
    await world.update(monitor=True)
    await world.run_jobs()
    assert [item["state"] for item in await subscriptions(world)] == ["active"]
    assert (await world.hook_states())[-1] == "active"


async def test_refused_token_is_reported_and_asked_for_once_more(
    world: World, provider: HooksApi, lender: Lender
) -> None:
    provider.refuse_with = 401
    await world.update(monitor=True)
    await world.select()
    with pytest.raises(Exception, match="refused the token"):
        await world.run_jobs()
    assert lender.refused == [None, 1]


async def test_hook_without_a_grant_is_left_behind_and_the_teardown_ends(
    world: World, provider: HooksApi, lender: Lender
) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.run_jobs()
    lender.error = AuthRevoked()
    await world.disconnect()
    await world.run_jobs()
    assert (await world.hook_states())[-1] == "removed"
    assert len(provider.hooks) == 1


async def test_erased_workspace_leaves_its_tombstone_and_refuses_late_writes(world: World, deps: Deps) -> None:
    await world.update(monitor=True)
    await world.select()
    await world.post(recorded("issues__opened"))
    await world.admin.execute("UPDATE outbox SET published_at = now() WHERE workspace_id = $1", world.workspace)
    await follow.erase_workspace(WorkspaceDeleted(workspace_id=world.workspace, version=1), deps=deps)
    await world.connect(monitor=True)
    await world.select()
    tables = [
        row["table_name"]
        for row in await world.admin.fetch(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'webhooks' AND column_name = 'workspace_id'"
        )
    ]
    left = {table: await world.count(table) for table in tables}
    assert {table: count for table, count in left.items() if count} == {"erased_workspace": 1}
    await world.admin.execute(
        "INSERT INTO outbox (event_id, workspace_id, topic, key, payload, published_at)"
        " VALUES ('late', $1, 'webhook.subscription_changed', 'i', '{}', now())",
        world.workspace,
    )
    await follow.erase_workspace(WorkspaceDeleted(workspace_id=world.workspace, version=1), deps=deps)
    assert await world.count("outbox") == 1  # told again, it changes nothing
    assert (await world.post(b"{}", event="ping")).status_code == 404


async def test_job_worker_brings_the_hook_up(world: World, deps: Deps, provider: HooksApi) -> None:
    async with deps.db.queue() as tx:  # what other tests left: each has a hook 101, and would remove this one's
        await tx.execute("DELETE FROM job WHERE workspace_id <> :workspace", workspace=world.workspace)
    await world.update(monitor=True)
    await world.select()
    url = f"https://hooks.example{world.url}"
    stop = asyncio.Event()
    working = asyncio.create_task(create_job_worker(deps).run(stop))
    try:
        await eventually(lambda: url in [hook["url"] for hook in provider.hooks.values()])
        await eventually(lambda: _is_done(world))
    finally:
        stop.set()
        await working
    assert [item["state"] for item in await subscriptions(world)] == ["active"]


async def _is_done(world: World) -> bool:
    return await world.jobs() == []


def test_everything_that_webhooks_consumes_has_its_handler() -> None:
    heard = {"integration.connected", "integration.updated", "integration.disconnected"}
    assert set(consumers.routes) == heard | {"resource.selected", "resource.deselected", "workspace.deleted"}


@pytest.mark.parametrize("wait", [RateLimited, BreakerOpen])
async def test_hook_waits_for_the_budget_without_having_failed_and_stands_when_there_is_more(
    world: World, provider: HooksApi, wait: type[RetryAfter]
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    provider.wait = wait(until=until)
    await world.update(monitor=True)
    await world.select()
    worker, stop = create_job_worker(world.deps), asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    job = "SELECT run_at, attempts, lease_until FROM job WHERE workspace_id = $1"

    async def waiting() -> bool:
        row = await world.admin.fetchrow(job, world.workspace)
        return row is not None and row["lease_until"] is None and abs(row["run_at"] - until) < timedelta(seconds=5)

    await eventually(waiting, timeout=20)
    stop.set()
    await running
    (item,) = await subscriptions(world)
    assert (item["state"], item["code"]) == ("registering", wait.code)
    assert await world.hook_states() == ["registering"]
    assert (await world.admin.fetchrow(job, world.workspace))["attempts"] == 0
    provider.wait = None
    await world.run_jobs()
    (item,) = await subscriptions(world)
    assert (item["state"], item["code"]) == ("active", "")
