"""Moves of a repository's head through the engine: told once whatever fails in between, and linked to its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from libs.common.errors import ProviderUnavailable
from libs.common.events import Hint, WebhookReceived
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from libs.providers.github.tests.played import Answered
from services.sync import consumers
from tests.integration.sync.hub import NO_FILES, Hub, joined

MANY = {f"many/{number:03}.txt": f"{number}\n" for number in range(250)}


class Failing:
    """Lets so many blobs through, then the wire is dead until it is mended."""

    def __init__(self, hub: Hub, blobs: int) -> None:
        self.left, self.real = blobs, hub.wire.request
        hub.wire.request = self.request  # type: ignore[method-assign]

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answered:
        if "/git/blobs/" in url or "/contents/" in url:
            if self.left <= 0:
                raise ProviderUnavailable("the wire is cut")
            self.left -= 1
        return await self.real(method, url, headers=headers, content=content)


async def files_equal_git(hub: Hub, after: str) -> None:
    files = {path: blob for path, (mode, blob) in hub.ls_tree(after).items() if mode not in NO_FILES}
    assert await hub.held() == files


@pytest.mark.parametrize("force", [False, True])
async def test_push_cut_between_its_pages_is_told_once_and_linked_to_every_file(hub: Hub, force: bool) -> None:
    await hub.begin({"README.md": "# House\n", "old.txt": "".join(f"line {n}\n" for n in range(40))})
    await hub.pushed(files={"left.md": "behind\n"})
    failing = Failing(hub, blobs=150)
    before, after, _ = await hub.pushed(files=MANY, rename={"old.txt": "zz/new.txt"}, force=force)
    assert await hub.one("SELECT count(*) FROM push WHERE after = $1", after) == 1
    assert 90 <= await hub.one("SELECT count(*) FROM source WHERE path LIKE 'many/%' AND NOT tombstone") < 250
    failing.left = 10_000

    async def whole() -> None:
        await hub.work()
        await files_equal_git(hub, after)

    await eventually(whole)
    assert await hub.one("SELECT count(*) FROM push WHERE after = $1", after) == 1
    assert await hub.rows(after) == joined(hub.raw(before, after))
    unlinked = "SELECT count(*) FROM changed_file WHERE push_id = (SELECT id FROM push WHERE after = $1)"
    assert await hub.one(f"{unlinked} AND source_id IS NULL", after) == 0


class Cutting:
    """Cuts the body of the n-th answer in half, once."""

    def __init__(self, hub: Hub, at: int) -> None:
        self.at, self.real = at, hub.wire.request
        hub.wire.request = self.request  # type: ignore[method-assign]

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answered:
        answer = await self.real(method, url, headers=headers, content=content)
        self.at -= 1
        return answer if self.at != -1 else replace(answer, body=answer.body[: len(answer.body) // 2])


async def test_answer_cut_anywhere_in_a_push_is_asked_again_and_the_push_told_once(hub: Hub) -> None:
    await hub.begin({"README.md": "# House\n"})
    real, told = hub.wire.request, 0
    for at in range(4):  # branch, comparison and two blobs
        cutting = Cutting(hub, at)
        _, after, _ = await hub.pushed(files={f"a{at}.md": f"# {at}\n", f"b{at}.md": f"## {at}\n"})

        async def whole(after: str = after) -> None:
            await hub.work()
            await files_equal_git(hub, after)

        await eventually(whole)
        assert cutting.at < 0
        told += 1
        assert await hub.one("SELECT count(*) FROM push") == told
        hub.wire.request = real  # type: ignore[method-assign]


async def test_moved_file_keeps_its_id_and_its_history(hub: Hub) -> None:
    await hub.begin({"README.md": "# House\n", "one.txt": "".join(f"line {n}\n" for n in range(40))})
    first = (await hub.sources())["file:one.txt"]["id"]
    await hub.pushed(rename={"one.txt": "two.txt"})
    await hub.pushed(files={"two.txt": "changed\n"})
    row = (await hub.sources())["file:two.txt"]
    assert row["id"] == first
    history = await hub.admin.fetch(
        "SELECT c.status FROM changed_file c WHERE c.source_id = $1 ORDER BY c.push_id", first
    )
    assert [one["status"] for one in history] == ["renamed", "modified"]
    told = [event for event in await hub.events() if event["source_id"] == first]
    assert [(event["change"], event.get("previous_path")) for event in told] == [
        ("created", None), ("renamed", "one.txt"), ("updated", None),
    ]  # fmt: skip


async def test_changed_default_branch_told_by_its_hints_is_a_move_to_that_branch(hub: Hub) -> None:
    await hub.begin({"README.md": "# House\n"})
    await hub.change("push", branch="trunk", files={"trunk.md": "# Trunk\n"})
    await hub.change("change_default_branch", to="trunk")
    hints = tuple(Hint(resource_external_id=hub.number, stream=stream, keys=()) for stream in ("repository", "code"))
    event = WebhookReceived(
        workspace_id=hub.workspace, integration_id=hub.integration, delivery_id=new_id(), provider="github",
        event="repository", hints=hints, received_at=hub.deps.clock.now(),
    )  # fmt: skip
    await consumers.on_webhook(event, hub.deps)
    await hub.work()
    assert set(await hub.held()) == {"README.md", "trunk.md"}
    assert await hub.one("SELECT branch FROM push") == "trunk"


async def test_hint_that_comes_twice_tells_one_push(hub: Hub) -> None:
    await hub.begin({"README.md": "# House\n"})
    _, _, first = await hub.pushed(files={"a.md": "# A\n"})
    await hub.hint(hub.number, "code")
    await hub.work()
    assert await hub.one("SELECT count(*) FROM push") == 1
    assert first == 3
