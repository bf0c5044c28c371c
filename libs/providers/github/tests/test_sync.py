"""A copy made by the sync facet equals what the played GitHub holds, whatever happens in between."""

from __future__ import annotations

import pytest

from libs.common.errors import AuthExpired, InvalidInput, LostSight, ProviderUnavailable, RateLimited
from libs.common.http.wire import InvalidCursor
from libs.common.provider.sync import Gone, Listed, Observed
from libs.providers.github.sync import FACET, PAGES_A_SEARCH
from libs.providers.github.tests.played import STREAMS, Played, assert_equals_truth
from libs.providers.github.tests.scripted import Scripted


async def test_first_sync_holds_exactly_what_the_provider_holds(played: Played) -> None:
    await played.sync()
    await assert_equals_truth(played)
    assert played.copy.objects["repository"].name == "sluice/sluice"
    assert played.copy.quarantined == []


async def test_second_sync_without_changes_is_all_304(played: Played) -> None:
    await played.sync()
    await played.control("requests", None, "DELETE")
    await played.sync()
    log = await played.control("requests", None, "GET")
    assert log["counts"]["notModified"] == log["counts"]["total"] > 0


async def test_edit_open_comment_and_push_arrive_by_the_incremental_pull(played: Played) -> None:
    await played.sync()
    await played.change(op="edit_issue", number=1, title="Quite another title")
    await played.change(op="open_issue", title="A new one", body="with words")
    await played.change(op="comment", number=1, body="I agree with this")
    await played.change(op="push", files={"docs/new.md": "# New\n"}, rename={"app.py": "door.py"}, delete=["logo.bin"])
    await played.sync()
    await assert_equals_truth(played)
    assert played.copy.objects["issue:1"].name == "Quite another title"
    assert "I agree with this" in played.copy.parts["issue:1"].values()
    assert played.copy.objects["file:door.py"].content.startswith('"""Opens')


async def test_push_after_a_sync_without_changes_is_seen(played: Played) -> None:
    await played.sync()
    await played.sync()
    await played.change(op="push", files={"docs/later.md": "# Later\n"})
    await played.sync()
    await assert_equals_truth(played)


async def test_force_push_falls_back_to_the_whole_tree(played: Played) -> None:
    await played.change(op="push", files={"left.md": "behind\n"})
    await played.sync()
    await played.change(op="push", force=True, files={"kept.md": "ahead\n"})
    await played.sync()
    await assert_equals_truth(played)
    assert played.copy.certificates[-1].scopes == ("file:",)


async def test_changed_default_branch_is_listed_whole(played: Played) -> None:
    await played.sync()
    await played.change(op="push", branch="trunk", files={"only-here.md": "trunk\n"})
    await played.change(op="change_default_branch", to="trunk")
    await played.sync()
    await assert_equals_truth(played)


@pytest.mark.parametrize("stream", ["issues", "code"])
async def test_owner_killed_after_a_page_is_continued_at_the_next_one(played: Played, stream: str) -> None:
    await played.copy.pull(stream, stop_after=1)
    await played.copy.pull(stream)
    for other in STREAMS:
        if other != stream:
            await played.copy.pull(other)
    await assert_equals_truth(played)
    log = await played.control("requests?items=1", None, "GET")
    paths = [item["path"] for item in log["items"] if "page" in item["path"] or "/git/blobs/" in item["path"]]
    assert max(paths.count(path) for path in paths) <= 2


async def test_repository_out_of_sight_deletes_nothing(played: Played) -> None:
    await played.sync()
    before = dict(played.copy.objects)
    for status in (403, 404, 410, 451):
        await played.control("faults", {"match": "/", "kind": "status", "status": status, "times": 0})
        for stream in STREAMS:
            with pytest.raises(LostSight):
                await played.copy.pull(stream)
            assert played.copy.objects == before, (status, stream)
        await played.control("faults", None, "DELETE")
    assert played.copy.objects == before


async def test_limits_say_until_when_and_refusals_ask_for_a_grant(played: Played) -> None:
    await played.control("faults", {"match": "/", "kind": "secondary_limit", "retryAfter": 7})
    with pytest.raises(RateLimited) as limited:
        await played.copy.pull("issues")
    assert limited.value.until is not None
    await played.control("faults", None, "DELETE")
    await played.control("faults", {"match": "/", "kind": "unauthorized"})
    with pytest.raises(AuthExpired):
        await played.copy.pull("issues")


async def test_server_error_and_page_that_is_no_json_move_no_cursor(played: Played) -> None:
    await played.control("faults", {"match": "/issues", "kind": "status", "status": 502, "times": 0})
    with pytest.raises(ProviderUnavailable):
        await played.copy.pull("issues")
    assert "issues" not in played.copy.cursors


async def test_deleted_issue_is_gone_with_proof_and_only_while_its_repository_is_seen(played: Played) -> None:
    await played.sync()
    await played.change(op="delete_issue", number=2)
    found = await FACET.fetch(played.copy.context(), [Listed(key="issue:2", type="issue", revision="")])
    assert isinstance(found[0], Gone)
    await played.change(op="delete_repository")
    with pytest.raises(LostSight):
        await FACET.fetch(played.copy.context(), [Listed(key="issue:3", type="issue", revision="")])


async def test_full_listing_certifies_both_kinds_and_finds_what_was_deleted(played: Played) -> None:
    await played.sync()
    await played.change(op="delete_issue", number=2)
    await played.copy.pull("issues", full=True)
    assert played.copy.certificates[-1].scopes == ("issue:", "pull_request:")
    await assert_equals_truth(played)


async def test_transferred_issue_is_gone_here(played: Played) -> None:
    await played.change(op="create_repository", fullName="sandbox/elsewhere", files={})
    await played.change(op="transfer", number=3, to="sandbox/elsewhere")
    found = await FACET.fetch(played.copy.context(), [Listed(key="issue:3", type="issue", revision="")])
    assert isinstance(found[0], Gone)


async def test_fetched_pull_request_carries_reviews_comments_and_files(played: Played) -> None:
    truth = await played.truth()
    number = truth["pulls"][0]["number"]
    await played.change(op="review", number=number, state="APPROVED", body="well done")
    found = (
        await FACET.fetch(
            played.copy.context(), [Listed(key=f"pull_request:{number}", type="pull_request", revision="")]
        )
    )[0]
    assert isinstance(found, Observed)
    assert found.parts is not None
    assert any(part.label == "approved" and part.body == "well done" for part in found.parts)
    assert found.changed_files


async def test_renamed_repository_is_followed_by_its_id(played: Played) -> None:
    await played.sync()
    await played.change(op="rename_repository", to="renamed")
    await played.sync()
    assert played.copy.resource is not None
    assert played.copy.resource.name.endswith("/renamed")
    await assert_equals_truth(played)


async def test_empty_repository_has_no_files_and_says_so_with_proof(played: Played) -> None:
    await played.change(op="create_repository", fullName="sandbox/empty")
    await played.copy.select("sandbox/empty")
    await played.copy.pull("code", full=True)
    assert played.copy.keys("file:") == set()
    assert played.copy.certificates[-1].complete


async def test_reference_that_is_no_repository_is_refused_with_a_pointer(played: Played) -> None:
    with pytest.raises(InvalidInput) as refused:
        await FACET.find(played.copy.context(), "not a repository")
    assert refused.value.pointer == "/resources"


async def test_discovery_lists_repositories_and_searches_them(played: Played) -> None:
    every = await FACET.discover(played.copy.context(), None)
    some = await FACET.discover(played.copy.context(), None, query="SLUICE/")
    assert {resource.name for resource in some.items} <= {resource.name for resource in every.items}
    assert any(resource.name == "sluice/sluice" for resource in some.items)


async def test_search_finds_a_repository_that_stands_on_a_later_page(played: Played) -> None:
    """The oldest of 450 is on the fifth page."""
    for number in range(450):
        await played.change(op="create_repository", fullName=f"sandbox/{'needle' if number == 0 else f'r{number}'}")
    asked = len(played.copy.wire.asked)
    found = await FACET.discover(played.copy.context(), None, query="Needle")
    assert [resource.name for resource in found.items] == ["sandbox/needle"]
    assert len(played.copy.wire.asked) - asked == 5
    first = await FACET.discover(played.copy.context(), None)
    assert (len(first.items), first.next_cursor is not None) == (100, True)
    none = await FACET.discover(played.copy.context(), None, query="no such name")
    assert (none.items, none.next_cursor) == ((), None)


async def test_search_asks_a_bounded_number_of_times_and_goes_on_where_it_ended() -> None:
    link = {"link": '<https://api.github.com/user/repos?page=9>; rel="next"'}
    http = Scripted(*[(200, [], link)] * (PAGES_A_SEARCH + 1))
    found = await FACET.discover(http.context(), None, query="x")
    assert (len(http.asked), found.items) == (PAGES_A_SEARCH, ())
    await FACET.discover(http.context(), found.next_cursor, query="x")
    assert http.asked[PAGES_A_SEARCH]["url"].endswith("page=9")


@pytest.mark.parametrize(
    "cursor", [{}, {"next": 5}, {"next": "/user/repos"}, {"next": "https://elsewhere.example/user/repos?page=2"}]
)
async def test_cursor_that_names_another_place_is_refused_and_asks_nobody(cursor: dict[str, object]) -> None:
    http = Scripted()
    with pytest.raises(InvalidCursor) as refused:
        await FACET.discover(http.context(), cursor)
    assert (refused.value.pointer, http.asked) == ("/cursor", [])


async def test_number_that_was_held_for_an_issue_is_read_as_the_pull_request_that_it_is(played: Played) -> None:
    """The list names both kinds alike: of an element that did not fit only its number is known."""
    await played.sync()
    number = next(key for key in played.copy.objects if key.startswith("pull_request:")).partition(":")[2]
    (found,) = await FACET.fetch(played.copy.context(), [Listed(key=f"issue:{number}", type="issue", revision="")])
    assert isinstance(found, Observed)
    assert (found.key, found.type) == (f"pull_request:{number}", "pull_request")
