"""Deletes with proof: what a certified listing did not show goes, too much of it waits for somebody's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.errors import DependencyDown, ProviderUnavailable
from libs.common.provider.sync import Cursor, Page, SyncContext
from libs.common.testing.eventually import eventually
from services.sync.use_cases import deletions
from services.sync.use_cases.apply import tombstone_all
from services.sync.workers.executor import Executor
from tests.integration.sync.double import Answer, DoubleFacet, World
from tests.integration.sync.engine import Engine


async def sweeps(engine: Engine) -> list[str]:
    return [row["state"] for row in await engine.admin.fetch("SELECT state FROM sweep ORDER BY id")]


async def held(api: httpx.AsyncClient, engine: Engine) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/integrations/{engine.integration}/held-deletions")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def lose_most(engine: Engine, world: World, *, files: int = 30, kept: int = 12) -> None:
    """A provider that from one look to the next shows fewer files."""
    world.repo("r1", files=files)
    await engine.sync()
    repo = world.repos["r1"]
    repo.files = dict(list(repo.files.items())[:kept])
    await engine.forget_events()
    await engine.again()


async def test_what_another_lane_writes_while_it_is_listed_is_never_taken_for_gone(
    engine: Engine, world: World
) -> None:
    repo = world.repo("r1", files=25)
    await engine.sync()
    repo.files.pop("src/f0025.py")

    async def hint_meanwhile(path: str) -> None:
        if "tree?page=1" in path:
            world.faults.clear()
            repo.files["early.py"] = "new\n"  # sorts into page 0, which was read already
            await engine.hint("r1", "tree", "file:early.py")
            await engine.dirty()

    world.faults.append(hint_meanwhile)
    await engine.again()
    found = await engine.sources()
    assert "file:early.py" in found
    assert "file:src/f0025.py" not in found


async def test_sweep_that_is_killed_is_gone_on_with_by_another_owner_and_then_certifies(
    engine: Engine, world: World
) -> None:
    repo = world.repo("r1", files=45)
    await engine.sync()
    repo.files.pop("src/f0003.py")
    stuck = asyncio.Event()

    async def hang(path: str) -> None:
        if "tree?page=3" in path and not stuck.is_set():
            stuck.set()
            await asyncio.Event().wait()

    world.faults.append(hang)
    world.log.clear()
    await engine.full()
    dying = asyncio.create_task(Executor(engine.deps).step())
    await stuck.wait()

    async def committed() -> bool:  # page 3 is asked for while page 2 is committed
        return bool(await engine.one("SELECT count(*) FROM listing_seen") == 30)

    await eventually(committed, timeout=20)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await engine.one("SELECT count(*) FROM listing_seen") == 30
    await engine.admin.execute("UPDATE work SET lease_until = now() - interval '1 second'")
    other = engine.replica()
    while await Executor(other).step():
        pass
    await other.db.close()

    assert "file:src/f0003.py" not in await engine.sources()
    assert max(world.served("/tree?").values()) == 1
    assert (await sweeps(engine))[-1] == "certified"
    assert await engine.one("SELECT count(*) FROM listing_seen") == 0
    deleted = [event for event in await engine.events() if event["change"] == "deleted"]
    assert [event["cause"] for event in deleted] == ["sweep"]


async def test_too_many_deletions_are_held_shown_and_told_without_counting_as_an_error(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    assert len(await engine.sources()) == 30
    assert await engine.events() == []
    [found] = await held(api, engine)
    assert (found["state"], found["count"], found["remaining"], found["of"]) == ("held", 18, 18, 30)
    assert found["certificate"]["complete"]
    shown = (await api.get(f"/v1/held-deletions/{found['id']}", params={"limit": 10})).json()
    rest = (await api.get(f"/v1/held-deletions/{found['id']}", params={"cursor": shown["nextCursor"]})).json()
    assert {one["externalId"] for one in shown["items"] + rest["items"]} == {
        f"file:src/f{number:04}.py" for number in range(13, 31)
    }
    listed = await api.get(f"/v1/integrations/{engine.integration}/resources", params={"selected": "true"})
    assert listed.json()["selected"][0]["error"]["code"] == "deletions_held"
    assert listed.json()["selected"][0]["lastCompleteAt"] < (await engine.run())["finished_at"].isoformat()
    told = await engine.admin.fetchrow("SELECT error_count, last_error_code FROM observed_state")
    assert tuple(told or ()) == (0, "deletions_held")


async def test_approved_deletions_go_and_a_second_word_changes_nothing(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    [found] = await held(api, engine)
    applied = await api.post(f"/v1/held-deletions/{found['id']}/apply")
    assert (applied.json()["state"], applied.json()["deleted"]) == ("applied", 18)
    assert len(await engine.sources()) == 12
    assert {(event["change"], event["cause"]) for event in await engine.events()} == {("deleted", "sweep")}
    assert (await api.post(f"/v1/held-deletions/{found['id']}/apply")).json() == applied.json()
    refused = await api.post(f"/v1/held-deletions/{found['id']}/reject")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("already_decided")
    assert await engine.one("SELECT last_error_code FROM observed_state") is None


async def test_approved_deletions_go_in_steps_and_go_on_after_a_failure(
    engine: Engine, world: World, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lose_most(engine, world)
    [found] = await held(api, engine)
    calls = 0

    async def tombstone(*given: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise DependencyDown("Postgres is away")
        return await tombstone_all(*given)

    monkeypatch.setattr(deletions, "STEP", 6)
    monkeypatch.setattr(deletions, "tombstone_all", tombstone)
    path = f"/v1/held-deletions/{found['id']}"
    assert (await api.post(f"{path}/apply")).status_code == 503
    [standing] = await held(api, engine)
    assert (standing["state"], standing["deleted"], standing["remaining"]) == ("held", 12, 6)
    assert {one["externalId"] for one in (await api.get(path)).json()["items"]} == {
        f"file:src/f{number:04}.py" for number in range(25, 31)
    }

    applied = (await api.post(f"{path}/apply")).json()
    assert (applied["state"], applied["deleted"], applied["remaining"]) == ("applied", 18, 0)
    assert sorted(event["change"] for event in await engine.events()) == ["deleted"] * 18
    assert await engine.one("SELECT change_count FROM observed_state") == 30 + 18
    assert (await api.post(f"{path}/restore")).json() == {"restored": 18}


async def test_restored_deletions_are_back_with_their_ids_and_content(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.page_size = 100
    await lose_most(engine, world)
    before = await engine.sources()
    [found] = await held(api, engine)
    await api.post(f"/v1/held-deletions/{found['id']}/apply")
    assert await engine.one("SELECT max(length(content)) FROM source WHERE tombstone") == 0
    await engine.forget_events()
    assert (await api.post(f"/v1/held-deletions/{found['id']}/restore")).json() == {"restored": 18}
    after = await engine.sources()
    same = ("id", "content", "name", "path", "url", "revision", "content_hash", "seen_hash", "metadata")
    assert {key: [row[name] for name in same] for key, row in after.items()} == {
        key: [row[name] for name in same] for key, row in before.items()
    }
    events = await engine.events()
    assert {(event["change"], event["cause"]) for event in events} == {("created", "sweep")}
    assert {event["source_id"]: event["version"] for event in events} == {
        row["id"]: row["version"] for key, row in after.items() if row["version"] > before[key]["version"]
    }
    assert (await api.post(f"/v1/held-deletions/{found['id']}/restore")).json() == {"restored": 0}


async def test_restore_of_what_a_switched_off_feature_pulled_is_refused_until_it_is_on_again(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    [found] = await held(api, engine)
    await api.post(f"/v1/held-deletions/{found['id']}/apply")
    await engine.update(features=("issues",))
    await engine.clean()
    refused = await api.post(f"/v1/held-deletions/{found['id']}/restore")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "feature_off")
    assert await engine.sources() == {}
    await engine.update(features=("issues", "code"))
    assert (await api.post(f"/v1/held-deletions/{found['id']}/restore")).json() == {"restored": 18}


async def test_rejected_deletions_stay_and_later_looks_hold_them_again(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    [first] = await held(api, engine)
    assert (await api.post(f"/v1/held-deletions/{first['id']}/reject")).json()["state"] == "rejected"
    assert (await api.post(f"/v1/held-deletions/{first['id']}/restore")).status_code == 409
    assert len(await engine.sources()) == 30
    await engine.again()
    assert [one["state"] for one in await held(api, engine)] == ["held", "rejected"]


async def test_what_is_seen_again_is_taken_off_and_a_later_sweep_supersedes(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    repo = world.repos["r1"]
    repo.files["src/f0020.py"] = "print(20)\n"
    await engine.hint("r1", "tree", "file:src/f0020.py")
    await engine.dirty()
    [found] = await held(api, engine)
    assert (found["state"], found["remaining"]) == ("held", 17)
    for number in range(13, 31):
        repo.files[f"src/f{number:04}.py"] = f"print({number})\n"
    await engine.again()
    assert [one["state"] for one in await held(api, engine)] == ["superseded"]
    assert len(await engine.sources()) == 30
    assert await engine.one("SELECT last_error_code FROM observed_state") is None


async def test_small_sweep_is_restored_by_its_id_as_long_as_it_is_kept(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world, kept=25)
    assert len(await engine.sources()) == 25
    newest = (await api.get(f"/v1/integrations/{engine.integration}/sweeps")).json()["items"][0]
    assert (newest["state"], newest["missing"], newest["deleted"], newest["of"]) == ("certified", 5, 5, 30)
    assert newest["restorable"]
    assert (await api.post(f"/v1/sweeps/{newest['id']}/restore")).json() == {"restored": 5}
    assert len(await engine.sources()) == 30

    await engine.again()
    assert len(await engine.sources()) == 25
    await engine.admin.execute("UPDATE buried_source SET expires_at = now() - interval '1 minute'")
    await engine.admin.execute("UPDATE cleanup SET run_at = now()")
    await engine.clean()
    assert await engine.one("SELECT count(*) FROM buried_source") == 0
    newest = (await api.get(f"/v1/integrations/{engine.integration}/sweeps")).json()["items"][0]
    assert (await api.post(f"/v1/sweeps/{newest['id']}/restore")).json() == {"restored": 0}


async def test_history_of_sweeps_ends_and_keeps_what_waits_for_a_word(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    await lose_most(engine, world)
    await engine.again()
    [waiting] = await held(api, engine)
    planned = await engine.admin.fetch("SELECT id FROM cleanup WHERE kind = 'expired'")
    assert len(planned) == 1  # one a day, however many listings end
    await engine.admin.execute("UPDATE sweep SET finished_at = now() - interval '91 days'")
    await engine.admin.execute("UPDATE cleanup SET run_at = now()")
    await engine.clean()
    assert await sweeps(engine) == ["held"]
    assert (await api.post(f"/v1/held-deletions/{waiting['id']}/apply")).json()["deleted"] == 18

    await engine.admin.execute("UPDATE buried_source SET expires_at = now() - interval '1 day'")
    await engine.admin.execute("UPDATE held_deletion SET decided_at = now() - interval '91 days'")
    assert (await engine.one("SELECT count(*) FROM run"), await engine.one("SELECT count(*) FROM run_resource")) != (
        0,
        0,
    )
    await engine.admin.execute("UPDATE run SET finished_at = now() - interval '91 days'")
    await engine.admin.execute("UPDATE cleanup SET run_at = now()")
    await engine.clean()
    assert (await sweeps(engine), await held(api, engine)) == ([], [])
    assert (await engine.one("SELECT count(*) FROM run"), await engine.one("SELECT count(*) FROM run_resource")) == (
        0,
        0,
    )


async def test_sweep_is_not_answered_by_a_listing_that_began_before_it_was_asked(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = world.repo("r1", files=45)
    await engine.sync()
    pulled: list[bool] = []
    pull = DoubleFacet.pull

    def watched(facet: DoubleFacet, context: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        if stream == "tree":
            pulled.append(context.full)
        return pull(facet, context, stream, cursor)

    monkeypatch.setattr(DoubleFacet, "pull", watched)

    async def fail(path: str) -> None:
        if "tree?page=3" in path:
            raise ProviderUnavailable("away for a moment")

    world.faults.append(fail)
    await engine.full()
    await engine.work()
    world.faults.clear()
    assert "running" in await sweeps(engine)
    repo.files.pop("src/f0003.py")  # on a page that this listing has committed

    pulled.clear()
    await engine.full()
    await engine.admin.execute("UPDATE work SET run_at = now()")
    await engine.work()
    assert pulled == [True, True]  # to the end of the old listing, and then anew
    assert "file:src/f0003.py" not in await engine.sources()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 451, 500, 503])
async def test_sight_that_is_lost_in_the_middle_of_a_listing_deletes_nothing(
    engine: Engine, world: World, status: int
) -> None:
    repo = world.repo("r1", files=25)
    await engine.sync()
    repo.files.pop("src/f0025.py")
    repo.files.pop("src/f0001.py")
    world.faults.append(lambda path: Answer(status, headers={"retry-after": "60"}) if "tree?page=2" in path else None)
    await engine.again()
    assert len(await engine.sources()) == 25
    assert "certified" not in (await sweeps(engine))[1:]


async def test_listing_whose_first_pages_nobody_remembers_proves_nothing(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=45)
    await engine.sync()
    repo.files.pop("src/f0045.py")

    async def forget_what_was_seen(path: str) -> None:
        if "tree?page=3" in path:
            await engine.admin.execute("DELETE FROM listing_seen")
            await engine.admin.execute("DELETE FROM sweep")

    world.faults.append(forget_what_was_seen)
    stopped = asyncio.Event()
    stopped.set()
    engine.executor._stop = stopped  # lets go after each page, as an owner that is told to end
    await engine.full()
    for _ in range(6):
        await engine.executor.step()
    assert len(await engine.sources()) == 45
    assert (await sweeps(engine))[-1] == "incomplete"


async def test_failing_item_leaves_the_listing_without_proof(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=25)
    await engine.sync()
    repo.files.pop("src/f0001.py")
    repo.files["src/f0002.py"] = "other\n"
    world.faults.append(lambda path: Answer(200, b'{"path": 1, "text": null}') if "files?path" in path else None)
    await engine.again()
    assert "file:src/f0001.py" in await engine.sources()
    complete = "SELECT last_complete_at FROM resource"
    before = await engine.one(complete)
    world.faults.clear()
    await engine.again()
    assert "file:src/f0001.py" not in await engine.sources()
    assert await engine.one("SELECT count(*) FROM quarantined_item") == 0
    assert await engine.one(complete) > before


async def test_foreign_holds_and_sweeps_are_absent(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    await lose_most(engine, world)
    for path in ("held-deletions/nothing/apply", "held-deletions/nothing/restore", "sweeps/nothing/restore"):
        assert (await api.post(f"/v1/{path}")).status_code == 404
    assert (await api.get("/v1/held-deletions/nothing")).status_code == 404
    await engine.erase()
    await engine.clean()
    for table in ("sweep", "held_deletion", "held_source", "buried_source"):
        assert await engine.one(f"SELECT count(*) FROM {table}") == 0
