"""A listing that proves much to be gone deletes it in slices: none holds the resource for long, none is doubled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from libs.common.testing.crashpoints import ProcessDied, watching
from services.sync.repository.sweeps import UNSEEN
from services.sync.use_cases import sweeping
from services.sync.workers import pages
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine

FILES, GONE = 100, 20  # exactly as many as the fuse believes
POINT = "sync.slice_deleted"


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MOST_AT_ONCE", 4)


@pytest.fixture
async def fewer(engine: Engine, world: World) -> Engine:
    """A fifth of the files is gone at the provider; nobody has looked yet."""
    world.repo("r1", files=FILES)
    await engine.sync()
    lose(world, GONE)
    await engine.forget_events()
    return engine


def lose(world: World, count: int, *, first: int = 1) -> None:
    for number in range(first, first + count):
        world.repos["r1"].files.pop(f"src/f{number:04}.py")


def dies_at(hit: int) -> Callable[[str], None]:
    came: Iterator[int] = iter(range(1, 1000))

    def arrived(name: str) -> None:
        if name == POINT and next(came) == hit:
            raise ProcessDied

    return arrived


async def die(engine: Engine, hit: int) -> None:
    """The owner dies after so many slices, and its lease runs out."""
    with watching(dies_at(hit)), pytest.raises(ProcessDied):
        await engine.again()
    await engine.admin.execute("UPDATE work SET lease_until = now() - interval '1 second'")


def before_the_second(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[None]]) -> None:
    delete, calls = pages._delete_slice, 0

    async def delete_slice(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            await meanwhile()
        await delete(*given)

    monkeypatch.setattr(pages, "_delete_slice", delete_slice)


async def newest(engine: Engine) -> tuple[Any, ...]:
    row = await engine.admin.fetchrow("SELECT state, missing, of, deleted FROM sweep ORDER BY id DESC LIMIT 1")
    return tuple(row or ())


async def told_as_deleted(engine: Engine) -> list[str]:
    events = await engine.events()
    assert {(event["change"], event["cause"]) for event in events} == {("deleted", "manual")}
    return sorted(event["source_id"] for event in events)


async def test_much_that_is_gone_goes_in_slices_each_with_its_events(fewer: Engine, api: httpx.AsyncClient) -> None:
    run = await fewer.again()
    assert len(await fewer.sources()) == FILES - GONE
    assert await newest(fewer) == ("certified", GONE, FILES, GONE)
    sizes = await fewer.admin.fetch("SELECT count(*) FROM outbox WHERE topic = 'source.changed' GROUP BY xmin::text")
    assert [row[0] for row in sizes] == [4] * 5
    assert len(set(await told_as_deleted(fewer))) == GONE
    assert await fewer.one("SELECT deleted FROM run_resource WHERE run_id = $1", run) == GONE
    assert await fewer.one("SELECT change_count FROM observed_state") == FILES + GONE
    sweep = (await api.get(f"/v1/integrations/{fewer.integration}/sweeps")).json()["items"][0]
    assert (await api.post(f"/v1/sweeps/{sweep['id']}/restore")).json() == {"restored": GONE}


@pytest.mark.parametrize("hit", [1, 2, 4])
async def test_owner_that_dies_between_slices_is_followed_and_nothing_goes_twice(fewer: Engine, hit: int) -> None:
    complete = "SELECT last_complete_at FROM resource"
    before = await fewer.one(complete)
    await die(fewer, hit)
    assert len(await fewer.sources()) == FILES - 4 * hit
    assert await newest(fewer) == ("running", 4 * hit, 0, 4 * hit)
    assert await fewer.one(complete) == before
    assert await fewer.one("SELECT listing IS NOT NULL FROM resource_stream WHERE stream = 'tree'") is True

    await fewer.work()
    assert len(await fewer.sources()) == FILES - GONE
    assert await newest(fewer) == ("certified", GONE, FILES, GONE)
    deleted = await told_as_deleted(fewer)
    assert len(deleted) == len(set(deleted)) == GONE
    assert await fewer.one("SELECT sum(deleted) FROM run_resource") == GONE
    assert await fewer.one(complete) > before


async def test_owner_that_follows_judges_by_the_whole_and_not_by_what_is_left(
    fewer: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await die(fewer, 4)
    lose(world, 10, first=FILES - 9)  # the last page, which is asked for again, shows ten files fewer
    await fewer.work()
    assert len(await fewer.sources()) == FILES - 16
    assert await newest(fewer) == ("held", 30, FILES, 16)
    [waiting] = (await api.get(f"/v1/integrations/{fewer.integration}/held-deletions")).json()["items"]
    assert (waiting["count"], waiting["of"]) == (14, FILES)
    assert waiting["reason"].endswith("no longer shows 30 of 100 sources; 16 were deleted before it was too much")


async def test_owner_whose_lease_is_taken_between_slices_deletes_no_more(
    fewer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_over() -> None:
        await fewer.admin.execute("UPDATE work SET epoch = nextval('lease_epoch')")

    before_the_second(monkeypatch, take_over)
    await fewer.again()
    assert len(await fewer.sources()) == FILES - 4
    assert await newest(fewer) == ("running", 4, 0, 4)


async def test_source_that_is_seen_again_between_slices_stays(
    fewer: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = [f"src/f{number:04}.py" for number in range(1, GONE + 1)]

    async def come_back() -> None:
        left = await fewer.sources()
        name = next(name for name in missing if f"file:{name}" in left)
        world.repos["r1"].files[name] = "back\n"
        await fewer.hint("r1", "tree", f"file:{name}")
        await fewer.dirty()

    before_the_second(monkeypatch, come_back)
    await fewer.again()
    assert len(await fewer.sources()) == FILES - GONE + 1
    assert len([event for event in await fewer.events() if event["change"] == "deleted"]) == GONE - 1


async def test_listing_without_statistics_is_compared_by_looking_each_key_up(engine: Engine, world: World) -> None:
    world.page_size = 1000
    world.repo("r1", files=3000)
    await engine.sync()
    async with engine.deps.db.transaction(engine.workspace) as tx:
        driver = await tx.driver()
        seen = "INSERT INTO listing_seen (resource_id, stream, key, workspace_id)"
        await driver.execute(f"{seen} SELECT resource_id, 'tree', external_key, workspace_id FROM source")
        resource, now = await engine.one("SELECT id FROM resource"), await driver.fetchval("SELECT now()")
        rows = await driver.fetch(f"EXPLAIN {UNSEEN}", resource, "tree", ["file:"], now, [])
    [compared] = [row[0] for row in rows if "key = s.external_key" in row[0]]
    assert compared.strip().startswith("Index Cond: ")
