"""How often a resource is looked at follows what the looks find and what hooks tell."""

from __future__ import annotations

from libs.common.provider.client import Budget
from services.sync import consumers
from services.sync.repository import integrations
from services.sync.use_cases.scheduling import Occasion, plan
from tests.integration.sync.double import MANIFEST, World
from tests.integration.sync.engine import Engine

MINUTES = "SELECT extract(epoch FROM next_poll_at - now()) / 60 FROM poll_schedule"
REASON = "SELECT reason FROM poll_schedule"


async def look(engine: Engine) -> None:
    """One due poll, asked for and done."""
    await engine.due()
    await engine.schedule()
    await engine.work()


async def hooked(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",), polling_enabled=True, monitor_changes=True)
    await consumers.on_subscription_changed(engine.hooks(1, "active"), engine.deps)
    await engine.work()


async def test_looks_that_find_changes_come_sooner_and_quiet_ones_later(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(polling_enabled=True, polling_interval=60)
    assert await engine.one(REASON) == "quiet: every 1 h"
    waits = []
    for round_ in range(3):
        repo.put(10 + round_)
        await look(engine)
        waits.append(await engine.one(MINUTES))
    assert await engine.one(REASON) == "changes came at 3 of the last 3 looks: every 15 min"
    assert 60 > waits[0] > waits[1] > waits[2] > 5
    for _ in range(5):
        await look(engine)
    assert await engine.one(REASON) == "quiet: every 1 h"
    assert await engine.one(MINUTES) > 50


async def test_hooks_that_tell_stretch_polls(engine: Engine, world: World) -> None:
    await hooked(engine, world)
    assert await engine.one(REASON) == "quiet: every 15 min"
    world.repos["r1"].put(2)
    await engine.hint("r1", "items", "item:2")
    await engine.dirty()
    await look(engine)
    assert await engine.one(REASON) == "hooks are alive: every 1 h"
    assert 50 < await engine.one(MINUTES) <= 60


async def test_polls_that_hooks_had_stretched_come_sooner_at_once_when_the_hooks_fail(
    engine: Engine, world: World
) -> None:
    await hooked(engine, world)
    await engine.hint("r1", "items", "item:1")
    await engine.dirty()
    await look(engine)
    assert await engine.one(MINUTES) > 50
    await consumers.on_subscription_changed(engine.hooks(2, "failing"), engine.deps)
    assert await engine.one(REASON) == "quiet: every 15 min"
    assert await engine.one(MINUTES) <= 15


async def test_hooks_that_miss_a_change_are_called_deaf_until_they_tell_again(engine: Engine, world: World) -> None:
    await hooked(engine, world)
    world.repos["r1"].put(2)
    await look(engine)
    assert await engine.one(REASON) == "changes came at 1 of the last 1 looks: every 9 min"
    await engine.admin.execute("UPDATE resource_watch SET untold_at = untold_at - interval '6 minutes'")
    await look(engine)
    assert await engine.one(REASON) == "hooks are silent although changes came: every 90 s"
    assert await engine.one(MINUTES) <= 1.5

    await engine.hint("r1", "items", "item:2")
    await engine.dirty()
    await look(engine)
    assert await engine.one(REASON) == "hooks are alive: every 1 h"


async def test_used_quota_holds_polls_at_what_was_asked(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    await engine.admin.execute("UPDATE run_resource SET requests = 990")
    repo.put(2)
    await look(engine)
    assert await engine.one(REASON) == "quota: 993 of 1,000 requests are used: every 15 min"


async def test_budget_that_the_provider_told_counts_before_our_own_requests(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    repo.put(2)
    await look(engine)
    left = Budget(limit=5000, remaining=900, resets_at=engine.deps.clock.now())
    async with engine.deps.db.transaction(engine.workspace) as tx:
        integration = await integrations.find(tx, engine.integration)
        assert integration is not None
        await plan(tx, integration, MANIFEST, Occasion(base="last_look", left=left))
    assert await engine.one(REASON) == "quota: 4,100 of 5,000 requests are used: every 15 min"


async def test_resources_that_are_nearly_due_share_one_run_and_the_others_wait(engine: Engine, world: World) -> None:
    for name in ("r1", "r2", "r3"):
        world.repo(name, items=1)
    await engine.sync("r1", "r2", "r3", polling_enabled=True)
    await engine.admin.execute(
        "UPDATE poll_schedule p SET next_poll_at = now() + w.wait, due_at = now() + w.wait FROM resource r,"
        " (VALUES ('r1', interval '0'), ('r2', interval '1 minute'), ('r3', interval '5 minutes')) AS w(name, wait)"
        " WHERE r.id = p.resource_id AND r.external_id = w.name"
    )
    await engine.schedule()
    assert await engine.work() == 2
    run = await engine.run()
    assert (run["cause"], run["state"]) == ("poll", "succeeded")
    asked = await engine.one(
        "SELECT array_agg(r.external_id ORDER BY r.external_id) FROM run_resource rr JOIN resource r"
        " ON r.id = rr.resource_id WHERE rr.run_id = $1",
        run["id"],
    )
    assert asked == ["r1", "r2"]


async def test_sweep_that_is_due_is_asked_for_and_planned_again(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(monitor_changes=True)
    assert await engine.one("SELECT next_poll_at FROM poll_schedule") is None
    assert await engine.one("SELECT next_sweep_at BETWEEN now() + '11 h' AND now() + '24 h' FROM poll_schedule")
    await engine.due("next_sweep_at")
    await engine.schedule()
    await engine.work()
    assert (await engine.run())["cause"] == "sweep"
    assert await engine.one("SELECT next_sweep_at > now() + '21 h' FROM poll_schedule")
    await engine.update(monitor_changes=False)
    assert await engine.one("SELECT due_at FROM poll_schedule") is None


async def test_pause_clears_the_plan_and_resume_makes_it_anew(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    await engine.update(status="inactive", polling_enabled=True)
    assert await engine.one(REASON) == "paused"
    assert await engine.one("SELECT due_at FROM poll_schedule") is None
    await engine.update(polling_enabled=True)
    assert await engine.one(REASON) == "quiet: every 15 min"
    assert 10 < await engine.one(MINUTES) <= 15


async def test_change_of_a_name_moves_no_poll(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    before = await engine.one("SELECT next_poll_at FROM poll_schedule")
    await engine.update(polling_enabled=True, name="Other")
    assert await engine.one("SELECT next_poll_at FROM poll_schedule") == before


async def test_chosen_resource_has_a_plan_and_one_that_is_dropped_has_none(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    world.repo("r2", items=1)
    await engine.sync("r1", polling_enabled=True)
    await engine.choose("r2")
    planned = "SELECT array_agg(r.external_id) FROM poll_schedule p JOIN resource r ON r.id = p.resource_id"
    assert await engine.one(planned) == ["r2"]
    assert await engine.one("SELECT count(*) FROM resource_watch") == 1


async def test_first_look_of_a_backfill_counts_as_no_change(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.sync(polling_enabled=True)
    assert await engine.one("SELECT looks FROM resource_watch") == 1
    assert await engine.one("SELECT requests FROM resource_watch") > 0
