"""What auth and webhooks tell, and what sync makes of it."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.database import erasure
from libs.common.errors import InvalidState
from libs.common.testing.eventually import eventually
from services.sync import consumers
from services.sync.repository import erasing
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine


async def test_repeated_and_older_words_change_nothing(engine: Engine, world: World) -> None:
    world.repo("r1", items=2)
    await engine.sync()
    runs = await engine.one("SELECT count(*) FROM run")
    old = engine.connected(features=())
    await engine.update(polling_enabled=True)

    await consumers.on_connected(old, engine.deps)
    await consumers.on_connected(engine.connected(), engine.deps)
    asked = len(engine.broker.asked)
    await engine.again()

    assert len(engine.broker.asked) == asked  # the token is still in memory
    assert await engine.one("SELECT count(*) FROM run") == runs + 1
    assert await engine.one("SELECT polling_enabled FROM known_integration")


async def test_polling_switched_on_off_and_changed_moves_the_next_poll_at_once(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    assert await engine.one("SELECT count(next_poll_at) FROM poll_schedule") == 0

    await engine.update(polling_enabled=True, polling_interval=60)
    await engine.report()
    hour = await engine.one("SELECT extract(epoch FROM next_poll_at - now()) FROM poll_schedule")
    assert 3200 < hour <= 3600
    assert (await engine.events("sync.state_changed"))[-1]["next_poll_at"] is not None
    await engine.update(polling_enabled=True, polling_interval=5)
    assert await engine.one("SELECT extract(epoch FROM next_poll_at - now()) FROM poll_schedule") <= 300
    await engine.update(polling_enabled=False)
    await engine.report()
    assert await engine.one("SELECT count(next_poll_at) FROM poll_schedule") == 0
    assert (await engine.events("sync.state_changed"))[-1]["next_poll_at"] is None


async def test_due_poll_runs_and_comes_again(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    await engine.forget_events()
    repo.put(2)
    await engine.due()
    await engine.schedule()
    await engine.work()

    assert (await engine.run())["cause"] == "poll"
    assert [event["cause"] for event in await engine.events()] == ["poll"]
    assert await engine.one("SELECT next_poll_at > now() + interval '8 minutes' FROM poll_schedule")


async def test_hook_that_stands_is_followed_by_one_look_at_what_nobody_told(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync()
    repo.put(2)  # after its page was read, before there was a hook to tell it
    await engine.forget_events()
    for version, state in ((1, "registering"), (2, "active"), (2, "active"), (1, "registering"), (3, "active")):
        await consumers.on_subscription_changed(engine.hooks(version, state), engine.deps)

    assert await engine.work() == 1
    assert [(event["change"], event["cause"]) for event in await engine.events()] == [("created", "webhook")]


async def test_poll_of_a_paused_integration_does_not_run(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    await engine.update(status="inactive", polling_enabled=True)
    world.log.clear()
    await engine.due()
    await engine.schedule()
    await engine.work()

    assert world.log == []
    with pytest.raises(InvalidState):
        await engine.again()


async def test_paused_in_the_middle_goes_on_where_it_was_when_resumed(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()

    async def pause(path: str) -> None:
        if "page=1" in path:
            world.faults.clear()
            await eventually(first_page_stored, timeout=30)
            await engine.update(status="inactive", features=("issues",))

    async def first_page_stored() -> bool:
        return len(await engine.sources()) == 10

    world.faults.append(pause)
    await engine.work()
    assert len(await engine.sources()) == 10
    assert (await engine.run())["state"] == "running"

    await engine.update(features=("issues",))
    await engine.work()
    assert len(await engine.sources()) == 30
    assert (await engine.run())["state"] == "succeeded"
    assert world.served("items?since=0&page=0").total() == 1


async def test_feature_switched_on_backfills_its_streams_alone(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=3, files=3)
    repo.put(4, kind="pull_request")
    await engine.sync()
    assert "item:4" not in await engine.sources()
    await engine.forget_events()
    world.log.clear()

    await engine.update(features=("issues", "prs", "code"))
    await engine.work()

    assert [event["type"] for event in await engine.events()] == ["pull_request"]
    assert "item:4" in await engine.sources()
    assert not any("tree" in path for path, _ in world.log)


async def test_feature_switched_off_tombstones_what_nothing_needs(engine: Engine, world: World) -> None:
    world.repo("r1", items=3, files=3)
    await engine.sync()
    await engine.forget_events()

    await engine.update(features=("issues",))
    await engine.clean()

    assert sorted(await engine.sources()) == ["item:1", "item:2", "item:3"]
    assert {(event["type"], event["change"]) for event in await engine.events()} == {("file", "deleted")}
    await engine.update(features=("issues", "code"))
    await engine.work()
    assert len(await engine.sources()) == 6


async def test_disconnect_tombstones_everything_and_keeps_no_word_of_it(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=3, files=3)
    repo.note(1, 1, "words")
    await engine.sync()
    await engine.forget_events()

    await engine.disconnect()
    await engine.clean()

    assert [event["change"] for event in await engine.events()] == ["deleted"] * 6
    assert await engine.one("SELECT count(*) FROM source WHERE NOT tombstone OR name <> '' OR content <> ''") == 0
    for table in ("resource", "resource_stream", "work", "validator", "source_part"):
        assert await engine.one(f"SELECT count(*) FROM {table}") == 0
    # What is to expire of a workspace is not the integration's.
    assert await engine.one("SELECT count(*) FROM cleanup WHERE kind <> 'expired'") == 0
    await consumers.on_connected(engine.connected(), engine.deps)
    assert await engine.one("SELECT count(*) FROM discovery") == 0


async def test_disconnect_in_the_middle_of_a_page_wins(engine: Engine, world: World) -> None:
    world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()

    async def leave(path: str) -> None:
        if "page=1" in path:
            world.faults.clear()
            await engine.disconnect()

    world.faults.append(leave)
    await engine.work()
    await engine.clean()

    assert await engine.sources() == {}
    assert (await engine.run())["state"] == "cancelled"


async def test_lost_grant_stops_everything_until_a_reconnect(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=3)
    await engine.sync(polling_enabled=True)
    await engine.auth_failed()
    await engine.hint("r1", "items", "item:1")
    world.log.clear()
    await engine.schedule()
    await engine.work()
    await engine.dirty()
    assert world.log == []
    with pytest.raises(InvalidState):
        await engine.again()

    repo.put(4)
    engine.version += 1
    await engine.sync()
    assert len(await engine.sources()) == 4


async def test_erased_workspace_is_empty_and_refuses_late_words(engine: Engine, world: World) -> None:
    world.repo("r1", items=3, files=2)
    await engine.sync()
    await engine.admin.execute("UPDATE outbox SET published_at = now()")
    await engine.erase()
    await engine.clean()

    tables = [row[0] for row in await engine.admin.fetch(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'sync' AND column_name = 'workspace_id'"
    )]  # fmt: skip
    assert len(tables) > 15
    for table in tables:
        expected = 1 if table == "erased_workspace" else 0
        found = await engine.one(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", engine.workspace)
        assert (table, found) == (table, expected)
    engine.version += 1
    await engine.connect()
    await engine.hint("r1", "items", "item:1")
    assert await engine.one("SELECT count(*) FROM known_integration") == 0


async def test_word_that_comes_while_its_workspace_is_erased_leaves_no_row(engine: Engine, world: World) -> None:
    """Auth tells a disconnect and the deletion in one breath, and their topics are read side by side."""
    world.repo("r1", items=1)
    await engine.sync()

    async def waits() -> bool:
        return bool(await engine.one("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with engine.deps.db.transaction(engine.workspace) as tx:
        await erasure.begin(tx)
        await erasing.erase_hot(tx)
        late = asyncio.create_task(engine.disconnect())
        await eventually(waits)
    await late
    await engine.erase()  # told again
    assert await engine.one("SELECT count(*) FROM known_integration") == 0
    assert await engine.one("SELECT count(*) FROM cleanup") == 0


async def test_hint_reads_its_object_again_without_waiting_for_the_backfill(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=30)
    await engine.connect(features=("issues",))
    await engine.discover()

    async def push(path: str) -> None:
        if "page=1" in path:
            world.faults.clear()
            repo.put(30, body="pushed")
            await engine.hint("r1", "items", "item:30")
            await engine.dirty()
            seen.append((await engine.sources())["item:30"]["content"])

    seen: list[str] = []
    world.faults.append(push)
    await engine.work()

    assert seen == ["pushed"]
    assert len(await engine.sources()) == 30
    assert [event["cause"] for event in await engine.events()].count("webhook") == 1
    assert len(await engine.events()) == 30


async def test_older_page_does_not_undo_what_a_hint_wrote(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    repo.put(1, body="first edit")

    async def race(path: str) -> Answer | None:
        """The page is answered with the first edit while the second one arrives by a hint."""
        if "items?since" not in path:
            return None
        world.faults.clear()
        old = world.answer(path, {"authorization": "Bearer token-1"})
        repo.put(1, body="second edit")
        await engine.hint("r1", "items", "item:1")
        await engine.dirty()
        return old

    world.faults.append(race)
    await engine.again()
    assert (await engine.sources())["item:1"]["content"] == "second edit"
    await engine.dirty()
    assert (await engine.sources())["item:1"]["content"] == "second edit"


async def test_hint_about_a_deleted_object_tombstones_it_with_proof(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    del repo.items[2]
    await engine.hint("r1", "items", "item:2")
    await engine.dirty()

    assert set(await engine.sources()) == {"item:1"}
    assert "404" in await engine.one("SELECT proof FROM source WHERE tombstone")
    assert await engine.one("SELECT count(*) FROM dirty_object") == 0


async def test_hint_without_keys_polls_its_stream_at_once(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1, files=1)
    await engine.sync()
    repo.files["src/new.py"] = "x\n"
    world.log.clear()
    await engine.hint("r1", "tree")
    await engine.work()

    assert "file:src/new.py" in await engine.sources()
    assert not any("items" in path for path, _ in world.log)
    assert (await engine.events())[-1]["cause"] == "webhook"


async def test_hint_that_comes_while_its_stream_is_read_reads_it_once_more(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=15)
    await engine.connect(features=("issues",))
    await engine.discover()

    async def push(path: str) -> None:
        if path.startswith("/repos/r1/notes"):
            world.faults.clear()
            repo.put(1, body="late")
            await engine.hint("r1", "items")

    world.faults.append(push)
    await engine.work()

    assert (await engine.sources())["item:1"]["content"] == "late"
    assert await engine.one("SELECT count(*) FROM work") == 0


async def test_hint_of_a_stranger_is_of_no_interest(engine: Engine, world: World) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.hint("r9", "items", "item:1")
    assert await engine.one("SELECT count(*) FROM dirty_object") == 0


async def test_hint_about_what_no_chosen_feature_pulls_asks_the_provider_nothing(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1, files=1)
    repo.put(2, kind="pull_request")
    await engine.sync(features=("issues",))
    world.log.clear()
    await engine.hint("r1", "items", "item:2", of="pull_request")
    await engine.hint("r1", "tree")
    await engine.dirty()
    await engine.work()
    assert world.log == []
    await engine.hint("r1", "items", "item:1", of="issue")
    assert await engine.dirty() == 1


async def test_observed_state_is_told_in_absolute_values(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=3)
    await engine.sync(features=("issues",))
    await engine.report()
    first = (await engine.events("sync.state_changed"))[-1]
    assert (first["change_count"], first["error_count"], first["last_error"]) == (3, 0, None)
    assert first["last_polled_at"] is not None

    repo.put(1, body="x")
    await engine.again()
    await engine.report()
    second = (await engine.events("sync.state_changed"))[-1]
    assert second["change_count"] == 4
    assert second["version"] > first["version"]
    await engine.report()
    assert len(await engine.events("sync.state_changed")) == 2


async def test_small_workspace_does_not_wait_behind_a_big_one(engine: Engine, world: World) -> None:
    world.repo("a", items=1)
    world.repo("b", items=1)
    await engine.sync("a", "b")
    big = engine.integration
    await engine.admin.execute(
        "INSERT INTO work (resource_id, workspace_id, integration_id, kind, cause, ticket, priority)"
        " SELECT 'big-' || n, $1, $2, 'poll', 'poll', 't', 2 * n + 2 FROM generate_series(0, 50) n",
        engine.workspace,
        big,
    )
    engine.workspace, engine.integration = "ws-small", "small"
    await engine.connect("a")
    await engine.discover()

    order = [row[0] for row in await engine.admin.fetch("SELECT workspace_id FROM work ORDER BY priority, run_at")]
    assert order.index("ws-small") <= 1
