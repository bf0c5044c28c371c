"""What is due is claimed once, by the index, and nothing that is due is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from libs.common.database.transaction import Transaction
from libs.common.provider.manifest import Manifest
from services.sync.repository import schedules
from services.sync.repository.schedules import BEGINNING, NEVER, Due, Lane
from services.sync.use_cases.scheduling import ask_due
from services.sync.workers import scheduler
from services.sync.workers.scheduler import LANES_A_CLAIM, LEASE, MOST, Claims, Scheduler
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine
from tests.support.plans import scans

pytestmark = pytest.mark.timeout(60)


async def fill(engine: Engine, rows: int, workspaces: int, *, name: str = "w", minutes_ago: int = 60) -> None:
    """Rows whose times are spread over the hour after `minutes_ago`, an integration each."""
    await engine.admin.execute(
        "INSERT INTO poll_schedule (resource_id, integration_id, workspace_id, due_at, next_poll_at)"
        " SELECT $1 || n, $1 || n, $1 || n % $3, at, at FROM generate_series(1, $2::integer) n,"
        " LATERAL (SELECT now() - make_interval(mins => $4) + n * interval '1 hour' / $2 AS at) t",
        name,
        rows,
        workspaces,
        minutes_ago,
    )


async def drain(claims: Claims) -> list[Due]:
    claimed: list[Due] = []
    while found := await claims.next():
        claimed += found
    return claimed


async def test_four_schedulers_at_once_claim_each_of_5000_rows_exactly_once(engine: Engine) -> None:
    await fill(engine, 5000, 300)
    rounds = await asyncio.gather(*(drain(Claims(engine.deps.db)) for _ in range(4)))
    claimed = [one.resource_id for found in rounds for one in found]
    assert len(claimed) == len(set(claimed)) == 5000


async def test_integration_that_cannot_be_asked_keeps_no_other_waiting(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.repo("r1", items=1)
    await engine.sync("r1", polling_enabled=True)
    await fill(engine, 200, 200, name="broken")
    await engine.admin.execute("UPDATE poll_schedule SET next_poll_at = now(), due_at = now()")
    asked: list[str] = []

    async def ask(tx: Transaction, integration_id: str, manifest_of: Callable[[str], Manifest]) -> bool:
        asked.append(integration_id)
        if integration_id.startswith("broken"):
            raise ValueError("a bug of ours")
        return await ask_due(tx, integration_id, manifest_of)

    monkeypatch.setattr(scheduler, "ask_due", ask)
    lane = Scheduler(engine.deps)
    while len(asked) < 201:
        with pytest.raises(ExceptionGroup):
            await lane.step()
    assert await engine.one("SELECT count(*) FROM run WHERE cause = 'poll'") == 1


async def test_claims_and_looks_read_the_index_and_a_slice_of_the_table_alone(engine: Engine) -> None:
    await fill(engine, 20_000, 3000, minutes_ago=30)
    await engine.admin.execute("ANALYZE poll_schedule")
    lanes = [Lane(number, NEVER, True) for number in range(schedules.LANES)]
    async with engine.deps.db.queue() as tx:
        look = await scans(tx, schedules.LOOK, *schedules.look_arguments(BEGINNING))
        patrol = await scans(tx, schedules.PATROL, *schedules.patrol_arguments(0))
        await tx.execute(schedules.BY_HEAD)
        claim = await scans(tx, schedules.CLAIM, *schedules.claim_arguments(lanes, MOST // LANES_A_CLAIM, LEASE))
    assert claim == ["Index Scan on poll_schedule by poll_schedule_due", "Tid Scan on poll_schedule"]
    assert look == ["Index Only Scan on poll_schedule by poll_schedule_due"]
    assert patrol == ["Tid Range Scan on poll_schedule"]


async def test_rows_that_come_below_a_head_are_found(engine: Engine) -> None:
    """A transaction that planned an earlier time may commit after everything around it was claimed."""
    await fill(engine, 3000, 300)
    claims = Claims(engine.deps.db)
    assert len(await drain(claims)) == 3000
    assert await claims.next() == []
    await fill(engine, 20, 20, name="late", minutes_ago=120)

    found: list[Due] = []
    for _ in range(20):  # the slices of more than one round of the table
        await claims.patrol()
        found += await claims.next()
    assert sorted(one.resource_id for one in found) == sorted(f"late{n}" for n in range(1, 21))


async def test_row_that_another_claim_holds_is_not_passed_when_that_claim_fails(engine: Engine) -> None:
    await fill(engine, 500, 1)
    first, second = Claims(engine.deps.db), Claims(engine.deps.db)
    held: list[Due] = []
    others: list[Due] = []

    async def fail() -> None:
        async with engine.deps.db.queue() as tx:
            lanes = await schedules.look(tx, BEGINNING)
            held.extend(await schedules.claim(tx, lanes, each=100, lease=LEASE))
            others.extend(await drain(second))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert len(held) == 100
    assert not {one.resource_id for one in held} & {one.resource_id for one in others}
    again = await drain(second)
    assert {one.resource_id for one in again} == {one.resource_id for one in held}
    assert await drain(first) == []


async def test_claims_of_a_scheduler_that_died_come_due_again(engine: Engine) -> None:
    await fill(engine, 50, 50)
    dead, survivor = Claims(engine.deps.db), Claims(engine.deps.db)
    claimed = await drain(dead)
    assert await drain(survivor) == []
    await engine.admin.execute("UPDATE poll_schedule SET due_at = due_at - $1::interval", LEASE)
    found = await drain(survivor)
    assert {one.resource_id for one in found} == {one.resource_id for one in claimed}
    assert len(found) == 50


async def test_workspace_with_very_much_overdue_does_not_hold_the_others_up(engine: Engine) -> None:
    """All of `crowd` was due an hour before any other; only those that share its lane, a 64th, come after it."""
    await fill(engine, 6_000, 1, name="crowd", minutes_ago=180)
    await fill(engine, 600, 600, name="small", minutes_ago=60)
    claims = Claims(engine.deps.db)
    claimed: list[Due] = []
    for _ in range(8):
        claimed += await claims.next()
    crowd_lane = await engine.one("SELECT lane FROM poll_schedule WHERE workspace_id = 'crowd0' LIMIT 1")
    beside = await engine.one("SELECT count(*) FROM poll_schedule WHERE lane <> $1", crowd_lane)
    counted = Counter(one.workspace_id.rstrip("0123456789") for one in claimed)
    assert beside > 500
    assert counted["small"] >= beside
    assert counted["crowd"] >= MOST // LANES_A_CLAIM
    assert len(claimed) + len(await drain(claims)) == 6_600


async def test_round_is_limited_however_much_is_due(engine: Engine) -> None:
    await fill(engine, 3000, 300)
    assert 0 < len(await Claims(engine.deps.db).next()) <= MOST


async def test_plan_of_a_deselected_resource_goes_when_it_comes_due(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    await engine.admin.execute(
        "INSERT INTO poll_schedule (resource_id, integration_id, workspace_id, due_at, next_poll_at)"
        " VALUES ('gone', $1, $2, now(), now())",
        engine.integration,
        engine.workspace,
    )
    await engine.schedule()
    assert await engine.one("SELECT count(*) FROM poll_schedule") == 1


async def test_plan_by_older_settings_does_not_undo_newer_ones(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    async with engine.deps.db.transaction(engine.workspace) as tx:
        row = (await schedules.outlooks(tx, engine.integration, None))[0]
        await engine.update(polling_enabled=False)
        stale = schedules.Planned(
            resource_id=row["resource_id"], provider="double", version=row["version"], every=timedelta(minutes=1),
            reason="old", next_poll_at=row["now"], next_sweep_at=None, looks=1, requests=1, untold_at=None,
            fresh_as_of=None, swept_as_of=None, promised=None,
        )  # fmt: skip
        await schedules.save(tx, engine.integration, [stale])
    assert await engine.one("SELECT next_poll_at FROM poll_schedule") is None
    assert await engine.one("SELECT reason FROM poll_schedule") == "polling is off"
