"""What changes in the copy, and what is told of it."""

from __future__ import annotations

import pytest

from libs.common.errors import Contended
from services.sync import consumers
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine


async def test_only_what_changed_is_written_and_told(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=5, files=3)
    await engine.sync()
    await engine.forget_events()
    before = await engine.sources()

    repo.put(2, body="another body")
    repo.put(9)
    repo.items[3]["updated"] = repo.tick()  # touched without any difference
    repo.files["src/f0001.py"] = "changed()\n"
    await engine.again()

    told = {event["source_id"]: event for event in await engine.events()}
    after = await engine.sources()
    assert {key for key, row in after.items() if row["id"] in told} == {"item:2", "item:9", "file:src/f0001.py"}
    assert told[after["item:2"]["id"]]["change"] == "updated"
    assert told[after["item:9"]["id"]]["change"] == "created"
    assert after["item:2"]["version"] > before["item:2"]["version"]
    assert told[after["item:2"]["id"]]["version"] == after["item:2"]["version"]
    assert after["item:3"]["version"] == before["item:3"]["version"]
    assert after["item:3"]["revision"] != before["item:3"]["revision"]


async def test_comment_before_its_issue_waits_and_is_rendered_in_order(engine: Engine, world: World) -> None:
    repo = world.repo("r1")
    repo.note(7, 1, "later words")
    repo.note(3, 1, "# early words")
    await engine.sync(features=("issues",))
    assert await engine.sources() == {}

    repo.put(1, body="The issue.")
    await engine.again()

    content = (await engine.sources())["item:1"]["content"]
    assert content == (
        "The issue.\n\n## bob commented at 2026-01-01T00:00:03Z\n\n# early words"
        "\n\n## bob commented at 2026-01-01T00:00:07Z\n\nlater words"
    )


async def test_new_comment_updates_its_issue(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    await engine.forget_events()

    repo.note(1, 2, "a thought")
    await engine.again()

    told = await engine.events()
    row = (await engine.sources())["item:2"]
    assert [(event["source_id"], event["change"], event["version"]) for event in told] == [
        (row["id"], "updated", row["version"])
    ]
    assert row["content"].endswith("a thought")
    assert told[0]["content_hash"] == row["content_hash"]


async def test_file_missing_in_a_complete_listing_becomes_a_tombstone(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=2, files=25)
    await engine.sync()
    await engine.forget_events()
    gone = (await engine.sources())["file:src/f0011.py"]

    del repo.files["src/f0011.py"]
    await engine.again()

    told = await engine.events()
    assert [(event["source_id"], event["change"]) for event in told] == [(gone["id"], "deleted")]
    assert len(await engine.sources()) == 26
    assert await engine.one("SELECT content FROM source WHERE id = $1", gone["id"]) == ""
    assert await engine.one("SELECT count(*) FROM listing_seen") == 0


async def test_file_that_comes_back_keeps_its_id_and_a_newer_version(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=2)
    await engine.sync()
    first = (await engine.sources())["file:src/f0001.py"]
    text = repo.files.pop("src/f0001.py")
    await engine.again()
    deleted = await engine.one("SELECT version FROM source WHERE id = $1", first["id"])

    repo.files["src/f0001.py"] = text
    await engine.again()

    back = (await engine.sources())["file:src/f0001.py"]
    assert back["id"] == first["id"]
    assert back["version"] > deleted > first["version"]
    assert (await engine.events())[-1]["change"] == "created"


async def test_proven_rename_keeps_the_id_and_tells_the_old_path(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=3)
    await engine.sync()
    await engine.forget_events()
    old = (await engine.sources())["file:src/f0001.py"]

    repo.files["lib/new.py"] = repo.files.pop("src/f0001.py")
    repo.renames["lib/new.py"] = "src/f0001.py"
    await engine.again()

    told = await engine.events()
    assert [(event["source_id"], event["change"], event["previous_path"]) for event in told] == [
        (old["id"], "renamed", "src/f0001.py")
    ]
    now = (await engine.sources())["file:lib/new.py"]
    assert (now["id"], now["path"]) == (old["id"], "lib/new.py")
    await engine.forget_events()
    await engine.again()
    assert await engine.events() == []


async def test_two_files_that_swap_names_keep_their_ids(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=2)
    await engine.sync()
    before = await engine.sources()

    one, two = "src/f0001.py", "src/f0002.py"
    repo.files[one], repo.files[two] = repo.files[two], repo.files[one]
    repo.renames = {one: two, two: one}
    await engine.again()

    after = await engine.sources()
    assert after[f"file:{one}"]["id"] == before[f"file:{two}"]["id"]
    assert after[f"file:{two}"]["id"] == before[f"file:{one}"]["id"]
    assert len(after) == 2


async def test_file_renamed_onto_another_ends_that_one(engine: Engine, world: World) -> None:
    repo = world.repo("r1", files=2)
    await engine.sync()
    before = await engine.sources()
    await engine.forget_events()

    repo.files["src/f0002.py"] = repo.files.pop("src/f0001.py")
    repo.renames["src/f0002.py"] = "src/f0001.py"
    await engine.again()

    after = await engine.sources()
    assert {key: row["id"] for key, row in after.items()} == {"file:src/f0002.py": before["file:src/f0001.py"]["id"]}
    told = {event["source_id"]: event["change"] for event in await engine.events()}
    assert told[before["file:src/f0002.py"]["id"]] == "deleted"
    assert told[before["file:src/f0001.py"]["id"]] == "renamed"


async def test_item_that_breaks_the_contract_is_kept_as_a_row_and_the_page_goes_on(
    engine: Engine, world: World
) -> None:
    repo = world.repo("r1", items=3)
    repo.items[2]["title"] = None
    await engine.sync(features=("issues",))

    assert set(await engine.sources()) == {"item:1", "item:3"}
    assert await engine.one("SELECT key FROM quarantined_item") == "item:2"
    assert (await engine.run())["state"] == "succeeded"

    repo.put(2)
    await engine.again()
    assert set(await engine.sources()) == {"item:1", "item:2", "item:3"}
    assert await engine.one("SELECT count(*) FROM quarantined_item") == 0


async def test_text_that_postgres_cannot_hold_is_stored_readably(engine: Engine, world: World) -> None:
    world.repo("r1").put(1, title="a\x00b", body="c\x00d")
    await engine.sync(features=("issues",))

    row = (await engine.sources())["item:1"]
    assert (row["name"], row["content"]) == ("a\ufffdb", "c\ufffdd")
    await engine.forget_events()
    await engine.again()
    assert await engine.events() == []


async def test_status_follows_the_index_of_this_version_only(engine: Engine, world: World) -> None:
    repo = world.repo("r1", items=1)
    await engine.sync(features=("issues",))
    first = (await engine.sources())["item:1"]
    assert first["status"] == "pending"

    await engine.indexed(first["id"], first["version"])
    assert (await engine.sources())["item:1"]["status"] == "ready"
    repo.put(1, body="new")
    await engine.again()
    await engine.indexed(first["id"], first["version"])
    assert (await engine.sources())["item:1"]["status"] == "pending"
    await engine.index_failed(first["id"], (await engine.sources())["item:1"]["version"])
    row = (await engine.sources())["item:1"]
    assert (row["status"], row["status_detail"]) == ("failed", "too_large: no")
    for _ in range(2):  # indexed after all; then both topics are told again
        await engine.indexed(row["id"], row["version"])
        await engine.index_failed(row["id"], row["version"])
        assert (await engine.sources())["item:1"]["status"] == "ready"


async def test_reports_of_many_sources_come_at_once_and_the_newest_of_one_counts(engine: Engine, world: World) -> None:
    world.repo("r1", items=3)
    await engine.sync(features=("issues",))
    rows = await engine.sources()
    ids = {key: (row["id"], row["version"]) for key, row in rows.items()}
    reports = [
        engine.indexed_event(*ids["item:1"]),
        engine.indexed_event(*ids["item:2"]),
        engine.indexed_event(ids["item:2"][0], 1),
    ]
    await consumers.on_indexed(reports, engine.deps)
    assert {key: row["status"] for key, row in (await engine.sources()).items()} == {
        "item:1": "ready", "item:2": "ready", "item:3": "pending",
    }  # fmt: skip


async def test_many_reports_give_way_to_whoever_writes_one_of_the_rows(engine: Engine, world: World) -> None:
    world.repo("r1", items=2)
    await engine.sync(features=("issues",))
    reports = [engine.indexed_event(row["id"], row["version"]) for row in (await engine.sources()).values()]
    async with engine.admin.transaction():
        await engine.admin.execute("SELECT FROM source WHERE external_key = 'item:2' FOR UPDATE")
        with pytest.raises(Contended):
            await consumers.on_indexed(reports, engine.deps)
    assert {row["status"] for row in (await engine.sources()).values()} == {"pending"}
    await consumers.on_indexed(reports, engine.deps)
    assert {row["status"] for row in (await engine.sources()).values()} == {"ready"}
