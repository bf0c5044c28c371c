"""A resource that was renamed: its sources follow batch by batch, whoever dies meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest

from libs.common.provider.sync import Resource
from services.sync.repository import resources
from services.sync.use_cases import relabelling
from services.sync.workers.housekeeping import Cleanup
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine

OLD, NEWER, NEWEST = "https://double.test/acme/r1", "https://double.test/acme/r2", "https://double.test/acme/r3"
ITEMS = 25


@pytest.fixture
async def synced(engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(relabelling, "STEP", 10)
    world.repo("r1", items=ITEMS)
    await engine.sync(features=("issues",))
    await engine.admin.execute("UPDATE resource SET url = $1", OLD)
    await engine.admin.execute("UPDATE source SET url = $1 || '/' || external_key", OLD)
    await engine.forget_events()
    return engine


async def rename(engine: Engine, url: str) -> None:
    resource_id = await engine.one("SELECT id FROM resource")
    async with engine.deps.db.transaction(engine.workspace) as tx:
        stored = await resources.find(tx, resource_id)
        assert stored is not None
        await resources.lock_selected(tx, resource_id)
        found = Resource(kind=stored.kind, external_id=stored.external_id, name=url.rpartition("/")[2], url=url)
        await relabelling.follow_label(tx, stored, found, cause="poll")


async def addresses(engine: Engine) -> Counter[str]:
    """How many sources stand below each address of the resource."""
    return Counter(row["url"].rpartition("/")[0] for row in (await engine.sources()).values())


async def told(engine: Engine) -> Counter[str]:
    return Counter(event["source_id"] for event in await engine.events())


async def test_a_kill_between_batches_costs_nothing_and_tells_nothing_twice(synced: Engine) -> None:
    before = await synced.sources()
    await rename(synced, NEWER)
    assert await addresses(synced) == {OLD: ITEMS}
    assert [event["name"] for event in await synced.events("resource.selected")][-1:] == ["r2"]

    await Cleanup(synced.deps).step()
    assert await addresses(synced) == {OLD: ITEMS - 10, NEWER: 10}
    assert len(await synced.events()) == 10

    other = synced.replica()
    while await Cleanup(other).step():
        pass
    await other.db.close()
    after = await synced.sources()
    assert await addresses(synced) == {NEWER: ITEMS}
    assert set((await told(synced)).values()) == {1}
    assert {event["source_id"]: event["version"] for event in await synced.events()} == {
        row["id"]: row["version"] for row in after.values()
    }
    assert all(after[key]["version"] > before[key]["version"] for key in before)
    assert await synced.one("SELECT count(*) FROM cleanup WHERE kind = 'readdress'") == 0


async def test_a_batch_that_dies_within_leaves_every_source_old(
    synced: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rename(synced, NEWER)
    with monkeypatch.context() as broken:
        broken.setattr(relabelling, "_readdressed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await Cleanup(synced.deps).step()
    assert await addresses(synced) == {OLD: ITEMS}
    assert await synced.events() == []
    await synced.admin.execute("UPDATE cleanup SET lease_until = '-infinity'")  # the dead owner's term is over
    await synced.clean()
    assert await addresses(synced) == {NEWER: ITEMS}
    assert len(await synced.events()) == ITEMS


async def test_a_second_rename_during_the_first_ends_at_the_last_address(synced: Engine) -> None:
    await rename(synced, NEWER)
    await Cleanup(synced.deps).step()
    await rename(synced, NEWEST)
    await synced.clean()
    assert await addresses(synced) == {NEWEST: ITEMS}
    newest = {event["source_id"]: event["url"] for event in await synced.events()}
    assert all(url.startswith(NEWEST) for url in newest.values())
