"""A delivery is heard once: told again by a broker it changes nothing, asked for again by a person it is looked at."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from libs.common.events import WebhookReceived
from services.sync import consumers
from services.sync.repository import heard, schedules
from services.sync.tables import QUEUE_TABLES, TENANT_TABLES
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine

KEY = "item:1"


async def tell(engine: Engine, event: WebhookReceived) -> None:
    """As it comes from a broker, and all work that follows from it."""
    again = msgspec.json.decode(msgspec.json.encode(event), type=WebhookReceived)
    await consumers.on_webhook(again, engine.deps)
    await engine.work()
    await engine.dirty()


async def rows(engine: Engine) -> dict[str, str]:
    """Whole rows, times of writing among them."""
    sql = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"
    return {table: await engine.one(sql.format(table)) for table in (*TENANT_TABLES, *QUEUE_TABLES, "outbox")}


@pytest.fixture
async def synced(engine: Engine, world: World) -> Engine:
    world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    world.log.clear()
    return engine


@pytest.mark.parametrize("keys", [(KEY,), ()], ids=["object", "stream"])
async def test_delivery_told_again_writes_no_row_and_asks_nobody(
    synced: Engine, world: World, keys: tuple[str, ...]
) -> None:
    event = synced.delivery("r1", "items", *keys)
    await tell(synced, event)
    assert world.log
    before, asked = await rows(synced), len(world.log)
    await tell(synced, event)
    assert await rows(synced) == before
    assert len(world.log) == asked


async def test_delivery_told_by_many_at_once_is_looked_at_once(synced: Engine, world: World) -> None:
    event, replica = synced.delivery("r1", "items", KEY), synced.replica()

    async def looks() -> None:
        for _ in range(20):
            await synced.dirty()
            await asyncio.sleep(0)

    tellings = [consumers.on_webhook(event, deps) for deps in (synced.deps, replica) * 6]
    await asyncio.gather(*tellings, looks())
    await synced.dirty()
    await replica.db.close()
    assert len(world.log) == 1
    assert await synced.one("SELECT count(*) FROM heard_delivery") == 1


async def test_delivery_that_a_person_asks_for_again_is_looked_at_again(synced: Engine, world: World) -> None:
    event = synced.delivery("r1", "items", KEY)
    await tell(synced, event)
    await tell(synced, msgspec.structs.replace(event, received_at=event.received_at + timedelta(microseconds=1)))
    assert len(world.log) == 2


async def test_delivery_that_could_not_be_taken_is_news_when_it_comes_again(
    synced: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = synced.delivery("r1", "items", KEY)

    async def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(schedules, "note_heard", fail)
    with pytest.raises(RuntimeError):
        await tell(synced, event)
    monkeypatch.undo()
    await tell(synced, event)
    assert len(world.log) == 1


async def test_delivery_heard_while_paused_is_no_news_after_that(synced: Engine, world: World) -> None:
    event = synced.delivery("r1", "items", KEY)
    await synced.update(status="inactive")
    await tell(synced, event)
    await synced.update()
    await tell(synced, event)
    assert world.log == []


async def test_delivery_of_a_disconnected_integration_leaves_no_row(
    synced: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "STEP", 2)
    events = [synced.delivery("r1", "items", KEY) for _ in range(5)]
    for event in events:
        await tell(synced, event)
    await synced.disconnect()
    await synced.clean()
    assert await synced.one("SELECT count(*) FROM heard_delivery") == 0
    await tell(synced, events[0])
    assert await synced.one("SELECT count(*) FROM heard_delivery") == 0


async def test_delivery_of_an_erased_workspace_leaves_no_row(synced: Engine, world: World) -> None:
    event = synced.delivery("r1", "items", KEY)
    await tell(synced, event)
    world.log.clear()
    await synced.publish()
    await synced.erase()
    await synced.clean()
    await tell(synced, event)
    assert await synced.one("SELECT count(*) FROM heard_delivery") == 0
    assert await synced.one("SELECT count(*) FROM cleanup") == 0
    assert world.log == []


async def test_deliveries_are_forgotten_in_steps_when_no_topic_holds_them_any_more(
    synced: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as long as a topic keeps them: one that came late stands before older ones, and stays."""
    assert timedelta(days=14) == heard.KEPT
    monkeypatch.setattr(heard, "STEP", 2)
    events = [synced.delivery("r1", "items", KEY) for _ in range(6)]
    for event in events:
        await tell(synced, event)
    wishes = await synced.admin.fetch("SELECT run_at - now() AS after FROM cleanup")
    assert {timedelta(days=14) < wish["after"] < timedelta(days=15, hours=2) for wish in wishes} == {True}
    late, old = events[0], events[1:5]
    ids = [event.delivery_id for event in old]
    sql = "UPDATE heard_delivery SET heard_at = heard_at - $2::interval WHERE delivery_id = ANY($1)"
    await synced.admin.execute(sql, ids, heard.KEPT + timedelta(hours=1))
    await synced.admin.execute("UPDATE cleanup SET run_at = now()")
    await synced.clean()
    kept = await synced.admin.fetch("SELECT delivery_id FROM heard_delivery ORDER BY delivery_id")
    assert [row["delivery_id"] for row in kept] == [late.delivery_id, events[5].delivery_id]
    assert await synced.one("SELECT count(*) FROM cleanup") == 0
    world.log.clear()
    await tell(synced, late)
    await tell(synced, old[0])
    assert len(world.log) == 1
