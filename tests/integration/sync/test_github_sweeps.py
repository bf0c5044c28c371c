"""Sweeps of the played GitHub: everything that lost deliveries left behind goes, and nothing else ever does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from libs.common.errors import ProviderUnavailable
from libs.common.testing.eventually import eventually
from libs.providers.github import whole_lists
from libs.providers.github.tests.played import Answered
from services.sync.use_cases.asking import sync_integration
from tests.integration.sync.hub import Hub
from tests.support.figures import Progress, Tell, sized

MANY = "sandbox/many"
FEATURES = ("issues", "prs", "code")
Meddle = Callable[[Answered], Answered]


class Meddler:
    """Stands in the wire of a sweep and does something to one answer, the `at`-th."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.real, self.count, self.at = hub, hub.wire.request, 0, 0
        self.meddle: Meddle | None = None
        hub.wire.request = self.request  # type: ignore[method-assign]

    def begin(self, at: int = 0, meddle: Meddle | None = None) -> None:
        self.count, self.at, self.meddle = 0, at, meddle

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answered:
        self.count += 1
        answer = await self.real(method, url, headers=headers, content=content)
        return self.meddle(answer) if self.meddle and self.count == self.at else answer


async def seeded(hub: Hub, monkeypatch: pytest.MonkeyPatch, *, issues: int, per_page: int = 5) -> None:
    monkeypatch.setattr(whole_lists, "PER_PAGE", per_page)
    await hub.control("seed", {"repository": MANY, "issues": issues, "comments": 1})
    truth = (await hub.control("truth", None, "GET"))["repositories"]
    hub.number = next(str(one["id"]) for one in truth if one["fullName"] == MANY)
    await hub.sync(MANY, features=FEATURES)


async def lose(hub: Hub, op: str, **more: Any) -> None:
    """A change whose delivery never comes."""
    await hub.control("change", {"op": op, "repository": MANY, **more})


async def sweep(hub: Hub) -> str:
    await sync_integration(hub.integration, deps=hub.deps, workspace=hub.workspace, full=True)
    await hub.work()
    await hub.dirty()
    return str(await hub.one("SELECT state FROM sweep WHERE stream = 'issues' ORDER BY id DESC LIMIT 1"))


async def forget_work(hub: Hub) -> None:
    """As if nobody had asked: the next sweep begins anew."""
    for table in ("work", "run_resource", "run", "sweep", "listing_seen"):
        await hub.admin.execute(f"DELETE FROM {table}")
    await hub.admin.execute("UPDATE resource_stream SET cursor = cursor - 'whole'")


async def gone(hub: Hub) -> set[str]:
    rows = await hub.admin.fetch("SELECT external_key FROM source WHERE tombstone")
    return {row["external_key"] for row in rows}


async def test_deletions_whose_deliveries_were_lost_are_found_by_a_sweep_and_not_by_polls(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seeded(hub, monkeypatch, issues=23)
    comment = await hub.one("SELECT part_key FROM source_part WHERE source_key = 'issue:9'")
    assert f"#issuecomment-{comment.removeprefix('comment:')}" in await hub.one(
        "SELECT url FROM source_part WHERE source_key = 'issue:9'"
    )
    words = await hub.one("SELECT content FROM source WHERE external_key = 'issue:9'")
    await lose(hub, "delete_issue", number=3)
    await lose(hub, "delete_issue", number=23)
    await lose(hub, "delete_comment", id=int(comment.removeprefix("comment:")))
    await lose(hub, "push", delete=["README.md"], files={"OTHER.md": "# Other\n"})
    await hub.again()
    assert await gone(hub) == {"file:README.md"}
    assert await sweep(hub) == "certified"
    assert await gone(hub) == {"file:README.md", "issue:3", "issue:23"}
    assert await hub.one("SELECT count(*) FROM source_part WHERE source_key = 'issue:9'") == 0
    assert len(await hub.one("SELECT content FROM source WHERE external_key = 'issue:9'")) < len(words)
    causes = {event["cause"] for event in await hub.events() if event["change"] == "deleted"}
    assert causes == {"manual", "sweep"}


async def test_element_that_slips_past_a_page_edge_is_asked_for_and_stays(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seeded(hub, monkeypatch, issues=23)
    real, done = hub.wire.request, False

    async def delete_behind_the_reader(method: str, url: str, **given: Any) -> Answered:
        nonlocal done
        if "/issues?" in url and "page=3" in url and not done:
            done = True
            await lose(hub, "delete_issue", number=2)
        return await real(method, url, **given)

    monkeypatch.setattr(hub.wire, "request", delete_behind_the_reader)
    assert await sweep(hub) == "certified"
    assert await hub.one("SELECT missing FROM sweep WHERE stream = 'issues'") == 0
    assert any(url.endswith("/issues/11") for url in hub.wire.asked)
    assert await gone(hub) == {"issue:2"}  # read when it was still there: the list of comments told it


STATUSES: dict[str, Meddle] = {
    **{str(status): lambda answer, status=status: replace(answer, status=status, headers={}, body=b"{}")  # type: ignore[misc]
       for status in (401, 403, 404, 410, 429, 451, 500, 502)},
    "truncated": lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]),
}  # fmt: skip


async def test_nothing_is_deleted_whatever_meets_a_sweep_at_any_of_its_requests(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, figure: Tell
) -> None:
    await seeded(hub, monkeypatch, issues=9)
    meddler = Meddler(hub)
    meddler.begin()
    assert await sweep(hub) == "certified"
    requests, injected = meddler.count, 0
    assert requests >= 9
    for at in range(1, requests + 1):
        for meddle in STATUSES.values():
            await forget_work(hub)
            hub.deps.tokens.forget(hub.integration)
            meddler.begin(at, meddle)
            await sync_integration(hub.integration, deps=hub.deps, workspace=hub.workspace, full=True)
            await hub.executor.step()
            injected += 1
            assert await gone(hub) == set(), (at, meddle)
    figure("false_deletes_github", 0, "deleted", injected)
    await forget_work(hub)
    meddler.begin()
    assert await sweep(hub) == "certified"
    assert await hub.one("SELECT count(*) FROM held_deletion") == 0


def without_links(answer: Answered) -> Answered:
    return replace(answer, headers={name: value for name, value in answer.headers.items() if name.lower() != "link"})


def emptied(answer: Answered) -> Answered:
    return replace(answer, body=b"[]")


def shortened(answer: Answered) -> Answered:
    items = answer.body[1:-1].split(b',{"id":')
    return replace(answer, body=b"[" + b',{"id":'.join(items[:-1]) + b"]")


@pytest.mark.parametrize("meddle", [without_links, emptied, shortened])
async def test_listing_that_is_cut_short_certifies_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, meddle: Meddle
) -> None:
    await seeded(hub, monkeypatch, issues=13)
    real = hub.wire.request

    async def meddled(method: str, url: str, **given: Any) -> Answered:
        answer = await real(method, url, **given)
        return meddle(answer) if "/issues?" in url and "page=2" in url else answer

    monkeypatch.setattr(hub.wire, "request", meddled)
    assert await sweep(hub) == "incomplete"
    assert await gone(hub) == set()


async def test_page_that_is_repeated_certifies_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await seeded(hub, monkeypatch, issues=13)
    real, pages = hub.wire.request, dict[str, Answered]()

    async def repeating(method: str, url: str, **given: Any) -> Answered:
        answer = await real(method, url, **given)
        if "/issues?" not in url:
            return answer
        first = pages.setdefault("first", answer)
        return replace(answer, body=first.body) if "page=2" in url else answer

    monkeypatch.setattr(hub.wire, "request", repeating)
    assert await sweep(hub) == "incomplete"
    assert await gone(hub) == set()


async def test_most_issues_missing_at_once_are_held_without_being_asked_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seeded(hub, monkeypatch, issues=23)
    for number in range(1, 15):
        await lose(hub, "delete_issue", number=number)
    asked = len(hub.wire.asked)
    assert await sweep(hub) == "held"
    assert await gone(hub) == set()
    assert await hub.one("SELECT count FROM held_deletion") == 14
    assert len(hub.wire.asked) - asked < 14


async def test_dead_wire_in_the_middle_is_gone_on_with_and_then_certifies(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seeded(hub, monkeypatch, issues=23)
    await lose(hub, "delete_issue", number=4)
    real, cut = hub.wire.request, True

    async def cutting(method: str, url: str, **given: Any) -> Answered:
        if cut and "/issues?" in url and "page=4" in url:
            raise ProviderUnavailable("the wire is cut")
        return await real(method, url, **given)

    monkeypatch.setattr(hub.wire, "request", cutting)
    await sync_integration(hub.integration, deps=hub.deps, workspace=hub.workspace, full=True)
    await hub.executor.step()
    assert await hub.one("SELECT count(*) FROM listing_seen WHERE stream = 'issues'") == 15
    assert await gone(hub) == set()
    cut = False
    await hub.admin.execute("UPDATE work SET run_at = now()")
    asked = len(hub.wire.asked)
    await hub.work()
    assert await gone(hub) == {"issue:4"}
    assert not [url for url in hub.wire.asked[asked:] if "/issues?" in url and "page=2" in url]


async def differences(hub: Hub) -> list[str]:
    """Missing, extra and stale: objects, what they say, and their comments."""
    truth = next(
        one for one in (await hub.control("truth", None, "GET"))["repositories"] if str(one["id"]) == hub.number
    )
    told = {f"issue:{one['number']}": (one["title"], one["state"]) for one in truth["issues"]}
    told |= {f"file:{one['path']}": (one["path"].rsplit("/", 1)[-1], one["sha"]) for one in truth["files"]}
    told |= {f"comment:{one['id']}": (str(one["number"]), one["body"]) for one in truth["comments"]}
    rows = await hub.admin.fetch(
        "SELECT external_key, name, coalesce(metadata->>'state', revision) AS what FROM source WHERE NOT tombstone"
    )
    held = {row["external_key"]: (row["name"], row["what"]) for row in rows}
    parts = await hub.admin.fetch("SELECT part_key, split_part(source_key, ':', 2) AS number, body FROM source_part")
    held |= {row["part_key"]: (row["number"], row["body"]) for row in parts}
    return sorted(key for key in told.keys() | held.keys() if told.get(key) != held.get(key))


async def test_every_delivery_lost_a_poll_and_a_sweep_leave_no_difference(
    hub: Hub, figure: Tell, progress: Progress
) -> None:
    """F19: creations, edits and deletions, of which no hook ever told."""
    count = sized(250, 5_000)
    await hub.control("seed", {"repository": MANY, "issues": count, "comments": 1})
    truth = (await hub.control("truth", None, "GET"))["repositories"]
    hub.number = next(str(one["id"]) for one in truth if one["fullName"] == MANY)
    await hub.sync(MANY, features=FEATURES)
    assert await differences(hub) == []
    comments = next(one for one in truth if one["fullName"] == MANY)["comments"]
    for at in range(1, count, 10):
        await lose(hub, "delete_issue", number=at)
        await lose(hub, "edit_issue", number=at + 1, title=f"Edited {at}")
        await lose(hub, "delete_comment", id=comments[at + 2]["id"])
        await lose(hub, "close", number=at + 4)
        await lose(hub, "open_issue", title=f"New {at}", body="Nobody told.")
        progress(at, count, doing="losing")
    await lose(hub, "push", delete=["README.md"], files={"a.md": "# A\n", "b/c.md": "# C\n"})
    lost = len(await differences(hub))
    await hub.again()
    assert await sweep(hub) == "certified"

    async def read_again() -> bool:
        """The issues of missing comments, fifty a second."""
        await hub.dirty()
        return not await hub.one("SELECT count(*) FROM dirty_object")

    await eventually(read_again, timeout=60 + count / 10)
    left = await differences(hub)
    figure("F19", len(left), "differences", f"{lost}_of_{count * 2}_objects")
    assert left == []
