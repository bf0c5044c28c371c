"""A run is a report that can be trusted: it has what was there when it was asked, and it tells when it waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from libs.common.testing.eventually import eventually
from services.sync.use_cases.asking import stop_run, sync_integration
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine


def looks(world: World, part: str) -> Counter[str]:
    """How often each path with `part` in it was asked for, unchanged or not."""
    return Counter(path for path, _ in world.log if part in path)


async def ask(engine: Engine) -> str:
    report = await sync_integration(engine.integration, deps=engine.deps, workspace=engine.workspace)
    return str(report.run["id"])


async def begun(engine: Engine, *resources: str, features: tuple[str, ...] = ("issues",)) -> str:
    """Connected and discovered; nothing is pulled yet."""
    await engine.connect(*resources, features=features)
    await engine.discover()
    return str((await engine.run())["id"])


def at(world: World, part: str, do: Any) -> None:
    """Once, while this page is asked for."""

    async def met(path: str) -> None:
        if part in path:
            world.faults.remove(met)
            await do()

    world.faults.append(met)


def limit(world: World, part: str, seconds: int = 60) -> None:
    world.faults.append(lambda path: Answer(429, headers={"retry-after": str(seconds)}) if part in path else None)


async def test_request_that_joins_has_what_changed_before_it_when_the_run_ends(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=25)
    run = await begun(engine, features=("code",))

    async def change_and_ask() -> None:
        """The first page of the listing was read already, and no hook tells this."""
        repo.files["src/f0001.py"] = "changed\n"
        assert await ask(engine) == run

    at(world, "tree?page=2", change_and_ask)
    await engine.work()

    assert (await engine.run())["state"] == "succeeded"
    assert (await engine.sources())["file:src/f0001.py"]["content"] == "changed\n"
    assert await engine.one("SELECT count(*) FROM run") == 1


async def test_request_that_joins_looks_again_at_what_the_run_had_finished(engine: Engine, world: World) -> None:
    first = world.repo("r1", items=1)
    world.repo("r2", items=15)
    run = await begun(engine, "r1", "r2")

    async def change_and_ask() -> None:
        finished = "SELECT count(*) FROM run_resource WHERE state = 'succeeded'"
        assert await engine.one(finished) == 1
        first.put(1, body="changed")
        assert await ask(engine) == run

    await engine.admin.execute(
        "UPDATE work SET priority = -1 FROM resource r WHERE r.id = resource_id AND r.external_id = 'r1'"
    )
    at(world, "r2/items?since=0&page=1", change_and_ask)
    await engine.work()

    assert (await engine.run())["state"] == "succeeded"
    contents = await engine.admin.fetch("SELECT content FROM source WHERE external_key = 'item:1'")
    assert "changed" in {row["content"] for row in contents}
    assert await engine.one("SELECT count(*) FROM work") == 0


async def test_many_requests_during_one_pass_are_one_more_pass(engine: Engine, world: World) -> None:
    world.repo("r1", files=15)
    await begun(engine, features=("code",))

    async def ask_often() -> None:
        await asyncio.gather(*(ask(engine) for _ in range(5)))

    at(world, "tree?page=1", ask_often)
    await engine.work()

    assert looks(world, "tree?page=0").total() == 2
    assert (await engine.run())["state"] == "succeeded"


async def test_request_while_a_half_read_listing_waits_reads_it_whole_again(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=25)
    await begun(engine, features=("code",))
    limit(world, "tree?page=2")
    await engine.work()
    repo.files["src/f0001.py"] = "changed\n"
    await ask(engine)
    world.faults.clear()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()

    assert (await engine.sources())["file:src/f0001.py"]["content"] == "changed\n"
    assert [looks(world, f"tree?page={page}").total() for page in (0, 1)] == [2, 2]


async def test_next_run_after_a_cancelled_one_has_what_changed_where_that_had_read(
    engine: Engine, world: World
) -> None:
    repo = world.repo("r1", files=25)
    run = await begun(engine, features=("code",))
    at(world, "tree?page=2", lambda: stop_run(run, deps=engine.deps, workspace=engine.workspace))
    await engine.work()
    repo.files["src/f0001.py"] = "changed\n"
    await engine.again()

    assert (await engine.sources())["file:src/f0001.py"]["content"] == "changed\n"


async def test_poll_of_what_is_at_work_is_satisfied_by_it(engine: Engine, world: World) -> None:
    world.repo("r1", items=15)
    await engine.connect(features=("issues",), polling_enabled=True)
    await engine.discover()

    async def poll() -> None:
        await engine.admin.execute("UPDATE poll_schedule SET next_poll_at = now()")
        await engine.schedule()

    at(world, "items?since=0&page=1", poll)
    await engine.work()
    assert looks(world, "notes").total() == 1
    assert await engine.one("SELECT count(*) FROM run") == 1


async def test_run_whose_resources_all_wait_is_parked_until_the_first_may_go_on(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=3)
    world.repo("r2", items=3)
    run = await begun(engine, "r1", "r2")
    limit(world, "items")
    await engine.work()

    found = (await api.get(f"/v1/sync-runs/{run}")).json()
    assert (found["state"], {one["state"] for one in found["resources"]}) == ("parked", {"parked"})
    left = datetime.fromisoformat(found["parkedUntil"]) - datetime.now(UTC)
    assert timedelta(seconds=30) < left <= timedelta(seconds=60)
    assert await ask(engine) == run

    world.faults.clear()
    states: list[str] = []

    async def look() -> None:
        states.append((await api.get(f"/v1/sync-runs/{run}")).json()["state"])

    at(world, "items", look)
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert states == ["running"]
    ended = (await api.get(f"/v1/sync-runs/{run}")).json()
    assert (ended["state"], ended["parkedUntil"]) == ("succeeded", None)
    [told] = await engine.events("sync.completed")
    shown = ended["counts"]
    assert told["counts"]["waits"] == shown["waits"] == 2
    assert 0 < told["counts"]["bytes"] == shown["bytes"]
    assert told["counts"]["pages"] == shown["pages"] > 0
    assert 0 < told["counts"]["waited_seconds"] == shown["waitedSeconds"]


async def test_run_is_parked_while_finding_its_resources_waits(engine: Engine, world: World) -> None:
    world.repo("r1", items=3)
    limit(world, "/repos")
    await engine.connect(features=("issues",))
    await engine.discover()
    run = await engine.run()
    assert (run["state"], run["parked_until"] is not None) == ("parked", True)

    world.faults.clear()
    await engine.admin.execute("UPDATE discovery SET run_at = now()")
    await engine.discover()
    await engine.work()
    run = await engine.run()
    assert (run["state"], run["parked_until"]) == ("succeeded", None)
    assert len(await engine.events("sync.started")) == 1


async def test_waits_are_counted_with_their_seconds(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=3)
    run = await begun(engine)
    limit(world, "items")
    await engine.work()
    await engine.admin.execute("UPDATE run_resource SET waiting_since = waiting_since - interval '40 seconds'")
    waiting = (await api.get(f"/v1/sync-runs/{run}")).json()["counts"]
    assert waiting["waits"] == 1
    assert waiting["waitedSeconds"] >= 40

    world.faults[:] = [lambda path: Answer(503) if "items" in path and world.faults.clear() is None else None]
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    ended = (await api.get(f"/v1/sync-runs/{run}")).json()
    assert (ended["state"], ended["counts"]["waits"]) == ("succeeded", 2)
    assert 40 <= ended["counts"]["waitedSeconds"] < 60
    later = (await api.get(f"/v1/sync-runs/{run}")).json()["counts"]
    assert later == ended["counts"]


async def test_cancelled_run_frees_what_was_parked(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=3)
    run = await begun(engine)
    limit(world, "items")
    await engine.work()
    assert (await api.post(f"/v1/sync-runs/{run}/cancel")).json()["state"] == "cancelled"
    assert await engine.one("SELECT count(*) FROM work") == 0
    assert await engine.one("SELECT state FROM resource") == "idle"

    world.faults.clear()
    again = await engine.again()
    assert again != run
    assert len(await engine.sources()) == 3


async def test_cancelled_run_does_not_take_a_hint_with_it(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=15)
    run = await begun(engine)

    async def hint_and_cancel() -> None:
        repo.put(16)
        await engine.hint("r1", "items")
        await stop_run(run, deps=engine.deps, workspace=engine.workspace)

    at(world, "items?since=0&page=1", hint_and_cancel)
    await engine.work()
    assert "item:16" in await engine.sources()
    assert (await engine.run())["state"] == "cancelled"


async def test_paused_while_parked_goes_on_at_its_page_and_not_before_the_reset(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await begun(engine)
    limit(world, "page=1")
    await engine.work()
    await engine.update(status="inactive", features=("issues",))
    await engine.update(features=("issues",))
    asked = len(world.log)
    await engine.work()
    assert len(world.log) == asked

    world.faults.clear()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert len(await engine.sources()) == 30
    assert world.served("items?since=0&page=0").total() == 1
    assert (await engine.run())["state"] == "succeeded"


async def test_run_tells_what_remains_and_for_how_long(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=25)
    run = await begun(engine)
    told: list[dict[str, Any]] = []

    async def two_pages_are_committed() -> bool:
        return await engine.one("SELECT seen FROM run_resource") == 20

    async def look() -> None:
        await eventually(two_pages_are_committed)  # this one is asked for while the one before it is committed
        await engine.admin.execute("UPDATE run SET started_at = now() - interval '40 seconds'")
        told.append((await api.get(f"/v1/sync-runs/{run}")).json())

    at(world, "items?since=0&page=2", look)
    await engine.work()

    assert (told[0]["remaining"], told[0]["progress"]) == (5, 0.8)
    assert 9.5 < told[0]["secondsLeft"] < 12
    ended = (await api.get(f"/v1/sync-runs/{run}")).json()
    assert (ended["remaining"], ended["secondsLeft"], ended["progress"]) == (None, None, 1.0)


async def test_refusals_of_a_sync_say_what_to_do(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    url = f"/v1/integrations/{engine.integration}/sync"

    async def refused() -> tuple[int, str]:
        answer = await api.post(url)
        return answer.status_code, answer.json()["type"].rpartition("/")[2]

    await engine.update(status="inactive", features=("issues",))
    assert await refused() == (409, "integration_paused")
    await engine.update(features=())
    assert await refused() == (409, "nothing_chosen")
    everything = await api.post(f"/v1/workspaces/{engine.workspace}/sync")
    assert (everything.status_code, "feature" in everything.json()["detail"]) == (409, True)
    await engine.auth_failed()
    assert await refused() == (409, "grant_lost")


async def test_sync_right_after_a_resume_is_not_answered_by_the_older_word(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    await engine.update(status="inactive", features=("issues",))
    asking = asyncio.create_task(api.post(f"/v1/integrations/{engine.integration}/sync"))
    await asyncio.sleep(0)
    await engine.update(features=("issues",))

    assert (await asking).status_code == 202


async def test_run_of_a_paused_integration_says_that_it_is_paused(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    run = await begun(engine)
    before = (await engine.run())["revision"]
    await engine.update(status="inactive", features=("issues",))

    assert (await api.get(f"/v1/sync-runs/{run}")).json()["paused"]
    assert (await engine.run())["revision"] > before
    await engine.update(features=("issues",))
    await engine.work()
    ended = (await api.get(f"/v1/sync-runs/{run}")).json()
    assert (ended["state"], ended["paused"]) == ("succeeded", False)


async def test_sync_of_a_workspace_names_what_it_leaves_out(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    await engine.update(status="inactive", features=("issues",))
    paused, engine.integration, engine.version = engine.integration, f"{engine.integration}-2", 1
    await engine.sync(features=("issues",))
    answer = (await api.post(f"/v1/workspaces/{engine.workspace}/sync")).json()

    assert [run["integrationId"] for run in answer["runs"]] == [engine.integration]
    assert [(one["integrationId"], one["code"]) for one in answer["leftOut"]] == [(paused, "integration_paused")]


async def test_deselected_resource_takes_its_error_along(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    world.repo("r2", items=1)
    await engine.sync("r1", "r2", features=("issues",))
    world.faults.append(lambda path: Answer(503) if "/r2/" in path else None)
    await engine.again()
    assert await engine.one("SELECT error_count FROM observed_state") >= 1  # its next try may have come due already
    await api.put(f"/v1/integrations/{engine.integration}/resources", json={"selected": ["r1"]})

    assert await engine.one("SELECT error_count FROM observed_state") == 0
    assert await engine.one("SELECT last_error FROM observed_state") is None
