"""Issues and pull requests: how their lists are asked for, and what a list or an object may say instead."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest

from libs.common.errors import LostSight, ProviderUnavailable
from libs.common.provider.sync import Gone, Listed, Observed, PartSeen, Quarantined
from libs.providers.github.objects import MOST_PULL_FILES, pull_source
from libs.providers.github.payloads import Pull
from libs.providers.github.sync import FACET
from libs.providers.github.tests.played import Played, assert_equals_truth
from libs.providers.github.tests.scripted import Scripted


def asked(played: Played, part: str) -> list[str]:
    return [url for url in played.copy.wire.asked if part in url]


async def test_first_listing_asks_for_all_states_oldest_change_first_and_for_no_since(played: Played) -> None:
    await played.copy.pull("issues")
    first = asked(played, "/issues?")[0]
    for wanted in ("state=all", "sort=updated", "direction=asc", "per_page=100"):
        assert wanted in first
    assert "since" not in first


async def test_later_listing_overlaps_what_was_seen(played: Played) -> None:
    await played.copy.pull("issues")
    newest = max(one.updated_at for one in played.copy.objects.values() if one.updated_at)
    since = datetime.fromisoformat(played.copy.cursors["issues"]["since"])
    assert since == newest - timedelta(minutes=5)
    await played.copy.pull("issues")
    assert f"since={quote(since.strftime('%Y-%m-%dT%H:%M:%SZ'))}" in asked(played, "/issues?")[-1]


async def test_comments_are_listed_for_the_whole_repository_by_their_change(played: Played) -> None:
    await played.sync()
    assert asked(played, "/issues/comments?")[0].count("sort=updated") == 1
    assert asked(played, "/pulls/comments?")[0].count("sort=updated") == 1
    assert not asked(played, "/issues/1/comments")


async def test_list_too_long_for_page_numbers_is_read_by_its_own_cursors(played: Played) -> None:
    await played.control("settings", {"largeListAbove": 100, "pageDepth": 1})
    await played.sync()
    await assert_equals_truth(played)
    assert any("after=" in url for url in asked(played, "/issues?"))


async def test_repository_whose_issues_are_switched_off_deletes_nothing(played: Played) -> None:
    await played.sync()
    before = dict(played.copy.objects)
    await played.change(op="edit_repository", hasIssues=False)
    with pytest.raises(LostSight):
        await played.copy.pull("issues")
    assert played.copy.objects == before


async def test_repository_transferred_to_another_owner_is_followed_by_its_number(played: Played) -> None:
    await played.sync()
    await played.change(op="rename_repository", to="another/house")
    await played.change(op="push", repository="another/house", files={"after.md": "# After\n"})
    await played.sync()
    assert played.copy.resource is not None
    assert played.copy.resource.name == "another/house"
    assert "file:after.md" in played.copy.objects
    await assert_equals_truth(played)


async def test_old_name_of_a_repository_finds_it(played: Played) -> None:
    await played.change(op="rename_repository", to="renamed")
    found = await FACET.find(played.copy.context(), "sluice/sluice")
    assert found.name == "sluice/renamed"


async def pull_again(played: Played, number: int) -> Observed:
    key = f"pull_request:{number}"
    [found] = await FACET.fetch(played.copy.context(), [Listed(key=key, type="pull_request", revision="")])
    assert isinstance(found, Observed)
    played.copy.objects[key] = found
    return found


async def test_files_of_a_pull_request_are_read_again_only_when_its_commits_move(played: Played) -> None:
    opened = next(pull for pull in (await played.truth())["pulls"] if pull["state"] == "open")
    number = opened["number"]
    first = await pull_again(played, number)
    await played.change(op="comment", number=number, body="Looks fine")
    second = await pull_again(played, number)
    assert first.changed_files
    assert second.changed_files is None
    assert second.parts is not None
    assert "Looks fine" in {part.body for part in second.parts}
    assert len(asked(played, f"/pulls/{number}/files")) == 1
    branch = f"sandbox/note-{number}"
    await played.change(op="push", branch=branch, files={"more.md": "# More\n"})
    third = await pull_again(played, number)
    assert third.changed_files is not None
    assert "more.md" in {file.path for file in third.changed_files}


async def test_issues_that_are_switched_off_delete_nothing(played: Played) -> None:
    """Each of them answers 410 then, and the repository is visible."""
    await played.copy.pull("issues")
    key = sorted(played.copy.keys("issue:"))[0]
    await played.change(op="edit_repository", hasIssues=False)
    with pytest.raises(LostSight):
        await FACET.fetch(played.copy.context(), [Listed(key=key, type="issue", revision="")])


async def test_object_that_is_gone_once_and_there_again_is_there(played: Played) -> None:
    """A bad moment of the provider is no deletion: it has to say so twice."""
    await played.copy.pull("issues")
    key = sorted(played.copy.keys("issue:"))[0]
    await played.control("faults", {"match": "/issues/", "kind": "status", "status": 410})
    [found] = await FACET.fetch(played.copy.context(), [Listed(key=key, type="issue", revision="")])
    assert isinstance(found, Observed)
    await played.change(op="delete_issue", number=int(key.partition(":")[2]))
    [gone] = await FACET.fetch(played.copy.context(), [Listed(key=key, type="issue", revision="")])
    assert isinstance(gone, Gone)


async def test_pull_request_that_changes_twice_in_one_second_is_read_again(played: Played) -> None:
    """Lists tell whole seconds: what came after the reading has the same time."""
    opened = next(pull for pull in (await played.truth())["pulls"] if pull["state"] == "open")
    number = opened["number"]
    await played.copy.pull("issues")
    for state in ("closed", "open", "closed", "open"):
        await played.change(op="close" if state == "closed" else "reopen", number=number)
        await played.copy.pull("issues", full=True)
        assert played.copy.objects[f"pull_request:{number}"].metadata["state"] == state


async def test_pull_request_read_when_its_second_is_over_is_known_by_its_time(played: Played) -> None:
    await played.copy.pull("issues")
    assert all("read" not in one.revision for one in played.copy.objects.values())


async def test_pull_request_met_in_the_issue_list_is_its_number_never_the_id_of_its_issue(played: Played) -> None:
    await played.copy.pull("issues")
    truth = await played.truth()
    assert played.copy.keys("pull_request:") == {f"pull_request:{pull['number']}" for pull in truth["pulls"]}
    assert not played.copy.keys("issue:") & {f"issue:{pull['number']}" for pull in truth["pulls"]}


@pytest.mark.parametrize(("count", "cut"), [(MOST_PULL_FILES, False), (MOST_PULL_FILES + 1, True)])
def test_pull_request_with_more_files_than_github_lists_says_so(count: int, cut: bool) -> None:
    moment = "2026-01-01T00:00:00Z"
    pull = {"number": 1, "title": "t", "html_url": "h", "state": "open", "updated_at": moment, "created_at": moment}
    ends = {"head": {"sha": "a"}, "base": {"sha": "b"}, "changed_files": count}
    told = pull_source(_pull({**pull, **ends}), parts=(), prefix="", files=())
    assert (told.metadata["changedFiles"], told.metadata["changedFilesCut"]) == (count, cut)


def _pull(fields: dict[str, object]) -> Pull:
    return msgspec.convert(fields, Pull, strict=False)


async def test_repositories_are_asked_for_most_recently_pushed_first() -> None:
    http = Scripted((200, []))
    await FACET.discover(http.context(), None)
    assert http.asked[0]["params"] == {"sort": "pushed", "per_page": "100"}


async def estimates(played: Played, stream: str = "issues", *, full: bool = False) -> list[int | None]:
    """What each page of the seeded repository says its listing holds."""
    found, context = [], played.copy.context(full=full)
    async for page in FACET.pull(context, stream, None):
        found.append(page.estimate)
    return found


async def seeded(played: Played, issues: int) -> None:
    await played.control("seed", {"repository": "sandbox/many", "issues": issues, "comments": 1})
    await played.copy.select("sandbox/many")


async def test_listing_by_page_numbers_tells_how_much_it_holds(played: Played) -> None:
    await seeded(played, 250)
    for stream in ("issues", "comments"):
        assert (await estimates(played, stream))[:3] == [300, 300, 250]


async def test_whole_listing_tells_how_much_it_holds(played: Played) -> None:
    await seeded(played, 250)
    assert await estimates(played, full=True) == [300, 300, 250]


async def test_listing_by_cursors_tells_no_total(played: Played) -> None:
    await seeded(played, 250)
    await played.control("settings", {"largeListAbove": 100, "pageDepth": 1})
    assert (await estimates(played))[:2] == [None, None]


async def opened(played: Played, count: int) -> list[Listed]:
    """New issues, as the engine asks for them after their hooks."""
    wanted = []
    for n in range(count):
        made = await played.control("change", {"op": "open_issue", "title": f"About {n}", "body": "A word."})
        wanted.append(Listed(key=f"issue:{made['number']}", type="issue", revision=""))
    return wanted


async def test_burst_of_issues_without_comments_costs_one_call(played: Played) -> None:
    wanted = await opened(played, 50)
    played.copy.wire.asked.clear()
    found = await FACET.fetch(played.copy.context(), wanted)
    assert [one.key for one in found] == [one.key for one in wanted]
    assert all(isinstance(one, Observed) and one.parts == () for one in found)
    assert len(played.copy.wire.asked) == 1


async def test_issue_of_a_burst_is_what_it_is_when_asked_for_alone(played: Played) -> None:
    wanted = await opened(played, 4)
    for n in range(2):
        await played.change(op="comment", number=int(wanted[1].key.partition(":")[2]), body=f"Comment {n}")
    together = await FACET.fetch(played.copy.context(), wanted)
    assert together == [(await FACET.fetch(played.copy.context(), [one]))[0] for one in wanted]
    assert isinstance(together[1], Observed)
    assert [part.body for part in together[1].parts or ()] == ["Comment 0", "Comment 1"]


async def test_burst_tells_apart_what_is_gone_what_is_old_and_what_is_a_pull_request(played: Played) -> None:
    await played.sync()
    old = min(played.copy.keys("issue:"), key=lambda key: int(key.partition(":")[2]))
    wanted = [*await opened(played, 101), Listed(key=old, type="issue", revision="")]
    await played.change(op="delete_issue", number=int(wanted[60].key.partition(":")[2]))
    pull = next(iter(played.copy.keys("pull_request:")))
    wanted.append(Listed(key=pull, type="pull_request", revision=""))
    found = await FACET.fetch(played.copy.context(), wanted)
    assert [one.key for one in found] == [one.key for one in wanted]
    assert [n for n, one in enumerate(found) if isinstance(one, Gone)] == [60]
    assert all(isinstance(one, Observed) for n, one in enumerate(found) if n != 60)


async def test_burst_of_a_repository_whose_issues_are_off_deletes_nothing(played: Played) -> None:
    wanted = await opened(played, 5)
    await played.change(op="edit_repository", hasIssues=False)
    with pytest.raises(LostSight):
        await FACET.fetch(played.copy.context(), wanted)


async def test_comments_that_cannot_be_read_once_cost_the_others_of_a_burst_nothing(played: Played) -> None:
    wanted = await opened(played, 5)
    number = wanted[2].key.partition(":")[2]
    await played.change(op="comment", number=int(number), body="Here")
    await played.control("faults", {"match": f"/issues/{number}/comments", "kind": "status", "status": 410})
    found = await FACET.fetch(played.copy.context(), wanted)
    assert all(isinstance(one, Observed) for one in found)
    assert isinstance(found[2], Observed)
    assert [part.body for part in found[2].parts or ()] == ["Here"]


def comment(number: int, **changes: object) -> dict[str, object]:
    at = "2026-01-01T00:00:00Z"
    page = f"https://github.com/octo/hello/pull/3#issuecomment-{number}"
    return {"id": number, "html_url": page, "issue_url": "x/3", "created_at": at, "updated_at": at, **changes}


async def test_one_element_that_does_not_fit_is_quarantined_and_the_others_of_its_page_come() -> None:
    http = Scripted((200, [comment(1), comment(2, created_at=5), comment(3)]))
    page = await anext(aiter(FACET.pull(http.context(), "comments", None)))
    first, unfit, last = page.items
    assert isinstance(first, PartSeen)
    assert isinstance(last, PartSeen)
    assert isinstance(unfit, Quarantined)
    assert [first.part.key, unfit.key, last.part.key] == ["comment:1", "comment:2", "comment:3"]


@pytest.mark.parametrize("body", [b'[{"id": 1', b'[{"id": 1, "html_url": "\xff"}]', b'[{"id": "no"}, {"id"'])
async def test_list_that_is_not_whole_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(ProviderUnavailable):
        await anext(aiter(FACET.pull(Scripted((200, body)).context(), "comments", None)))
