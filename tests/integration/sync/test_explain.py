"""Why is it here, or why not: each situation is told by its own reason, from the rows that made it so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from libs.common.errors import ProviderUnavailable
from libs.common.ids import new_id
from tests.integration.sync.double import Answer, World
from tests.integration.sync.engine import Engine

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


async def ask(api: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    answer = await api.get("/v1/explain", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def one(engine: Engine, api: httpx.AsyncClient, key: str) -> dict[str, Any]:
    (found,) = await ask(api, integration=engine.integration, externalId=key)
    return found


def outline(found: dict[str, Any]) -> dict[str, str]:
    """Step → code."""
    return {step["step"]: step["code"] for step in found["steps"]}


def step(found: dict[str, Any], name: str) -> dict[str, Any]:
    (step,) = [step for step in found["steps"] if step["step"] == name]
    return dict(step)


async def test_ready_source_is_followed_from_its_integration_to_its_event(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=2)
    await engine.sync()
    await engine.publish()
    row = (await engine.sources())["item:1"]
    await engine.indexed(row["id"], row["version"])
    (found,) = await ask(api, source=row["id"])
    assert (found["reason"], found["present"], found["externalId"]) == ("ready", True, "item:1")
    assert outline(found) == {
        "integration": "connected", "resource": "selected", "feature": "feature_on", "reading": "read",
        "version": "ready", "event": "published",
    }  # fmt: skip
    assert all(step["at"] for step in found["steps"] if step["step"] != "feature")
    read, event = step(found, "reading")["facts"], step(found, "event")["facts"]
    assert (read["revision"], read["contentHash"]) == (row["revision"], row["content_hash"])
    stored = await engine.admin.fetchrow("SELECT seq, kafka_offset, event_id FROM outbox WHERE key = $1", row["id"])
    assert (event["seq"], event["offset"], event["eventId"]) == tuple(stored or ())
    assert (await one(engine, api, "item:1"))["steps"] == found["steps"]


async def test_source_in_each_status_says_what_it_waits_for(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    row = (await engine.sources())["item:1"]
    pending = await one(engine, api, "item:1")
    assert (pending["reason"], outline(pending)["event"]) == ("pending", "unpublished")
    await engine.admin.execute("UPDATE source SET status = 'processing'")
    assert (await one(engine, api, "item:1"))["reason"] == "processing"
    await engine.index_failed(row["id"], row["version"])
    failed = await one(engine, api, "item:1")
    assert (failed["reason"], step(failed, "version")["outcome"]) == ("failed", "stopped")
    assert "too_large: no" in step(failed, "version")["detail"]
    await engine.forget_events()
    assert outline(await one(engine, api, "item:1"))["event"] == "event_not_kept"


async def test_object_of_a_feature_that_is_off_names_the_feature(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1, files=1)
    await engine.sync(features=("issues",))
    found = await one(engine, api, "file:src/f0001.py")
    assert (found["reason"], found["present"], found["sourceId"]) == ("feature_off", False, None)
    assert "switch on code" in step(found, "feature")["detail"]
    assert step(found, "feature")["facts"] == {"type": "file", "chosen": ["issues"]}


async def test_sources_of_a_feature_switched_off_are_deleted_for_it(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", files=1)
    await engine.sync()
    row = (await engine.sources())["file:src/f0001.py"]
    await engine.update(features=("issues",))
    await engine.clean()
    (found,) = await ask(api, source=row["id"])
    assert (found["reason"], found["present"]) == ("feature_off", False)
    assert step(found, "deleted")["detail"] == "feature switched off"


async def test_deleted_source_shows_its_proof_and_the_event_that_told_of_it(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", files=2)
    await engine.sync()
    row = (await engine.sources())["file:src/f0002.py"]
    del repo.files["src/f0002.py"]
    await engine.again()
    await engine.publish()
    (found,) = await ask(api, source=row["id"])
    assert (found["reason"], found["present"]) == ("deleted", False)
    assert step(found, "deleted")["detail"] == "not in a listing of 1 items"
    assert step(found, "event")["facts"]["change"] == "deleted"
    assert step(found, "event")["facts"]["version"] == found["version"] > row["version"]


async def test_quarantined_item_shows_what_did_not_fit(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    repo = world.repo("r1", items=2)
    repo.items[2]["title"] = 7
    await engine.sync()
    found = await one(engine, api, "item:2")
    assert found["reason"] == "quarantined"
    assert step(found, "quarantine")["facts"]["breach"] == "contract_broken"
    assert "title is no text" in step(found, "quarantine")["detail"]


async def test_key_that_no_listing_met_says_when_the_last_whole_one_ended(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1, files=1)
    await engine.sync()
    found = await one(engine, api, "file:src/nowhere.py")
    assert found["reason"] == "not_listed"
    complete = await engine.one("SELECT last_complete_at FROM resource")
    listed = step(found, "reading")
    assert datetime.fromisoformat(listed["at"]) == complete
    assert datetime.fromisoformat(listed["facts"]["lastCompleteAt"]) == complete
    fresh = await engine.one("SELECT fresh_as_of FROM resource_watch")
    assert datetime.fromisoformat(listed["facts"]["freshAsOf"]) == fresh
    assert listed["facts"]["stream"] == "tree"


async def test_key_of_a_kind_that_the_provider_does_not_have_is_told_so(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()

    def key_stream(self: Any, key: str) -> str:
        return {"item": "items", "file": "tree"}[key.split(":")[0]]

    facet = type("Facet", (), {"key_stream": key_stream})()
    object.__setattr__(engine.deps, "facet_of", lambda _: facet)
    found = await one(engine, api, "tweet:1")
    assert (found["reason"], found["stream"]) == ("key_unknown", None)
    assert step(found, "feature")["facts"]["kinds"] == ["file", "issue", "pull_request"]


async def test_resource_that_is_still_read_is_waited_for(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.connect()
    await engine.discover()
    found = await one(engine, api, "item:1")
    assert (found["reason"], outline(found)["work"]) == ("not_read_yet", "queued")


async def test_parked_resource_shows_until_when(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    world.faults.append(lambda path: Answer(429, headers={"retry-after": "600"}) if "/items" in path else None)
    await engine.sync()
    found = await one(engine, api, "item:1")
    parked = step(found, "work")
    assert (found["reason"], parked["code"]) == ("not_read_yet", "parked")
    assert (datetime.fromisoformat(parked["at"]) - datetime.now(UTC)).total_seconds() > 500


async def test_dirty_object_shows_its_next_try(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.hint("r1", "items", "item:9")
    found = await one(engine, api, "item:9")
    assert (found["reason"], step(found, "hint")["facts"]["attempts"]) == ("not_listed", 0)
    world.faults.append(lambda path: Answer(503) if "items/9" in path else None)
    await engine.admin.execute("UPDATE dirty_object SET run_at = now() + interval '1 hour', attempts = 3")
    hint = step(await one(engine, api, "item:9"), "hint")
    assert (hint["outcome"], hint["facts"]["attempts"]) == ("waiting", 3)
    assert datetime.fromisoformat(hint["facts"]["nextTryAt"]) > datetime.now(UTC)
    assert datetime.fromisoformat(hint["facts"]["heardAt"]) <= datetime.now(UTC)


async def test_resource_out_of_sight_stops_what_is_not_here_and_keeps_what_is(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    world.faults.append(lambda path: Answer(404))
    await engine.again()
    absent, present = await one(engine, api, "item:7"), await one(engine, api, "item:1")
    assert (absent["reason"], absent["present"]) == ("lost_sight", False)
    assert "nothing is deleted" in step(absent, "resource")["detail"]
    assert (present["reason"], present["present"]) == ("pending", True)


async def test_failing_resource_is_told_with_its_error(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    world.faults.append(lambda path: Answer(500))
    await engine.again()
    found = step(await one(engine, api, "item:1"), "resource")
    assert (found["outcome"], found["code"]) == ("waiting", ProviderUnavailable.code)
    assert found["facts"]["tries"] >= 1


async def test_resource_never_selected_and_one_deselected_are_told_apart(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    world.repo("r2", items=1)
    await engine.sync("r1", "r2")
    chosen = await api.put(f"/v1/integrations/{engine.integration}/resources", json={"selected": ["r1"]})
    assert chosen.status_code == 200
    await engine.clean()
    asked = {"integration": engine.integration, "externalId": "item:1"}
    (never,) = await ask(api, **asked, resource="acme/r9")
    assert (never["reason"], never["resourceId"]) == ("not_selected", None)
    assert "acme/r9" in step(never, "resource")["detail"]
    (gone,) = await ask(api, **asked, resource="acme/r2")
    assert (gone["reason"], step(gone, "deleted")["detail"]) == ("deselected", "deselected")
    at = datetime.fromisoformat(step(gone, "resource")["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    both = await ask(api, **asked)
    assert {item["resourceExternalId"]: item["reason"] for item in both} == {"r1": "pending", "r2": "deselected"}


async def test_next_look_is_told_with_its_reason(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    world.repo("r1", items=1)
    await engine.sync(polling_enabled=True)
    planned = await engine.admin.fetchrow("SELECT next_poll_at, next_sweep_at, reason FROM poll_schedule")
    assert planned is not None
    look = step(await one(engine, api, "item:5"), "look")
    assert datetime.fromisoformat(look["facts"]["nextPollAt"]) == planned["next_poll_at"]
    assert datetime.fromisoformat(look["at"]) == min(at for at in tuple(planned)[:2] if at)
    assert planned["reason"] in look["detail"]


async def test_window_is_named_where_it_may_have_left_something_out(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    await engine.admin.execute("UPDATE resource SET since = $1", BEGUN)
    absent, present = await one(engine, api, "item:5"), await one(engine, api, "item:1")
    assert (outline(absent)["window"], outline(present)["window"]) == ("window_bounded", "within_window")
    assert datetime.fromisoformat(step(absent, "window")["at"]) == BEGUN


async def test_paused_lost_and_disconnected_integrations_stop_what_is_not_here(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    row = (await engine.sources())["item:1"]
    await engine.update(status="inactive")
    assert (await one(engine, api, "item:5"))["reason"] == "paused"
    await engine.update()
    await engine.auth_failed()
    assert (await one(engine, api, "item:5"))["reason"] == "grant_lost"
    await engine.disconnect()
    await engine.clean()
    (found,) = await ask(api, source=row["id"])
    assert (found["reason"], found["present"]) == ("disconnected", False)
    assert step(found, "deleted")["detail"] == "disconnected"
    assert (await one(engine, api, "item:1"))["reason"] == "disconnected"


async def test_deletion_that_waits_for_approval_is_told_beside_the_source_that_is_still_here(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", files=1)
    await engine.sync()
    row = (await engine.sources())["file:src/f0001.py"]
    await engine.admin.execute(
        "INSERT INTO held_deletion (id, workspace_id, integration_id, resource_id, stream, sweep_id, provider, reason,"
        " certificate, count, of) VALUES ('h1', $1, $2, $3, 'tree', 's1', 'double', 'fraction', '{}', 9, 10)",
        engine.workspace,
        engine.integration,
        row["resource_id"],
    )
    await engine.admin.execute(
        "INSERT INTO held_source (held_id, source_id, workspace_id, resource_id, key) VALUES ('h1', $1, $2, $3, $4)",
        row["id"],
        engine.workspace,
        row["resource_id"],
        row["external_key"],
    )
    found = await one(engine, api, row["external_key"])
    held = step(found, "held")
    assert (found["present"], held["code"], held["outcome"]) == (True, "deletion_held", "waiting")
    assert "9 of 10" in held["detail"]
    assert held["facts"]["heldDeletionId"] == "h1"


async def test_foreign_and_absent_look_the_same_and_half_a_question_is_refused(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    world.repo("r1", items=1)
    await engine.sync()
    for asked in ({"source": new_id()}, {"integration": new_id(), "externalId": "item:1"}):
        answer = await api.get("/v1/explain", params=asked)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not_found")
    for asked in ({}, {"integration": engine.integration}, {"externalId": "item:1"}):
        answer = await api.get("/v1/explain", params=asked)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid_input")
