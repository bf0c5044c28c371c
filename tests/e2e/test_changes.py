"""Each kind of event that GitHub sends, from the change there to the answer of a search here."""

import time
from typing import Any

import pytest

from libs.common.testing.eventually import eventually
from tests.e2e.conftest import Line
from tests.e2e.place import FILES, WAIT_S, Place, open_place


@pytest.fixture(scope="module")
def opened(line: Line) -> Place:
    return open_place(line)


@pytest.fixture
async def place(opened: Place) -> Place:
    await opened.hooked()
    return opened


async def changed(place: Place, kind: str, op: str, word: str, *, found: bool, **what: Any) -> dict[str, Any]:
    """Makes the change, and waits until the word is found, or no longer."""
    began = time.monotonic()
    answer = place.change(op, **what)
    await place.measured(kind, lambda: (word in place.texts(word)) is found, began)
    return answer


async def test_pushed_edited_and_deleted_file_follows(place: Place) -> None:
    first, second = place.line.word(), place.line.word()
    path = f"docs/{first}.md"
    await changed(place, "push_new", "push", first, found=True, files={path: f"# New\n\n{first}\n"})
    await changed(place, "push_edit", "push", second, found=True, files={path: f"# Edited\n\n{second}\n"})
    assert first not in place.texts(first)
    await changed(place, "push_delete", "push", second, found=False, delete=[path])


async def test_file_renamed_by_a_push_keeps_its_id(place: Place) -> None:
    word = place.line.word()
    old, new = f"docs/{word}-old.md", f"docs/{word}-new.md"
    await changed(place, "push_before_rename", "push", word, found=True, files={old: f"# Moved\n\n{word}\n"})
    before = place.search(word)[0]["source"]["id"]
    began = time.monotonic()
    place.change("push", rename={old: new})
    await place.measured("push_rename", lambda: place.search(word)[0]["source"]["path"] == new, began)
    assert place.search(word)[0]["source"]["id"] == before


async def test_issue_follows_from_opening_to_deletion(place: Place) -> None:
    opening, editing = place.line.word(), place.line.word()
    number = (await changed(place, "issue_opened", "open_issue", opening, found=True, title=opening))["number"]
    await changed(place, "issue_edited", "edit_issue", editing, found=True, number=number, body=f"Now {editing}.")
    for op, state in (("close", "closed"), ("reopen", "open")):
        began = time.monotonic()
        place.change(op, number=number)
        await place.measured(f"issue_{state}", lambda: _ready(place, f"issue:{number}", state=state), began)  # noqa: B023
    await changed(place, "issue_deleted", "delete_issue", editing, found=False, number=number)


def _ready(place: Place, external_id: str, **metadata: Any) -> bool:
    """Indexed again with these facts about it."""
    source = place.source(external_id)
    return source["status"] == "ready" and metadata.items() <= source["metadata"].items()


async def test_transferred_issue_leaves_and_comes_in_where_it_went(place: Place) -> None:
    word = place.line.word()
    there = open_place(place.line, features=["issues"], files={})
    await there.hooked()
    number = (await changed(place, "issue_to_move", "open_issue", word, found=True, title=word))["number"]
    began = time.monotonic()
    place.change("transfer", number=number, to=there.repository)
    await place.measured("issue_transferred", lambda: not place.texts(word) and word in there.texts(word), began)


async def test_comments_follow_in_the_text_of_their_issue(place: Place) -> None:
    said, instead = place.line.word(), place.line.word()
    number = place.change("open_issue", title="Talked about")["number"]
    comment = await changed(place, "comment_created", "comment", said, found=True, number=number, body=f"So: {said}.")
    edit = {"id": comment["id"], "body": f"Rather: {instead}."}
    await changed(place, "comment_edited", "edit_comment", instead, found=True, **edit)
    assert said not in place.texts(said)
    await changed(place, "comment_deleted", "delete_comment", instead, found=False, id=comment["id"])
    await eventually(lambda: place.source(f"issue:{number}")["status"] == "ready", timeout=WAIT_S)


async def test_pull_request_follows_from_opening_over_review_to_merge(place: Place) -> None:
    title, review, line, content = (place.line.word() for _ in range(4))
    path = f"merged/{title}.md"
    files = {path: f"# Merged\n\n{content}\n"}
    opened = await changed(place, "pull_opened", "open_pull", title, found=True, title=title, files=files)
    number = opened["number"]
    assert content not in place.texts(content), "a branch that is not merged is not synced"
    notes = [{"path": path, "line": 1, "body": f"Here: {line}."}]
    said = {"number": number, "state": "CHANGES_REQUESTED", "body": f"Please: {review}.", "comments": notes}
    await changed(place, "pull_reviewed", "review", review, found=True, **said)
    await eventually(lambda: line in place.texts(line), timeout=WAIT_S)
    await changed(place, "pull_merged", "merge", content, found=True, number=number)
    await eventually(lambda: _ready(place, f"pull_request:{number}", state="merged"), timeout=WAIT_S)
    changes = place.line.door.get(f"/v1/sources/{place.source(f'pull_request:{number}')['id']}/changed-files")["items"]
    assert [(one["path"], one["status"]) for one in changes] == [(path, "added")]


async def test_facts_of_the_repository_follow(place: Place) -> None:
    word = place.line.word()
    await changed(place, "repository_edited", "edit_repository", word, found=True, description=f"All about {word}.")
    for settings in ({"archived": True}, {"archived": False}, {"private": False}, {"private": True}):
        began, (name, value) = time.monotonic(), next(iter(settings.items()))
        place.change("edit_repository", **settings)
        kind = f"repository_{name if value else f'not_{name}'}"
        await place.measured(kind, lambda: _ready(place, "repository", **settings), began)  # noqa: B023


async def test_renamed_repository_keeps_everything_under_its_new_name(line: Line) -> None:
    """Only issues are synced here: the name follows whatever is chosen, and nothing is taken for transferred."""
    place = open_place(line, features=["issues"])
    await place.hooked()
    word, later = line.word(), line.word()
    number = place.change("open_issue", title=word)["number"]
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
    before, hooks = place.source(f"issue:{number}"), place.hooks()
    began = time.monotonic()
    renamed = place.change("rename_repository", to=f"sandbox/{line.word()}")["fullName"]
    place.repository = renamed

    def followed() -> None:
        hit = place.search(word)[0]["source"]
        assert f"/{renamed}/issues/" in hit["url"]
        assert hit["id"] == before["id"]

    await place.measured("repository_renamed", followed, began)
    await eventually(lambda: _names(place) == [renamed, renamed], timeout=WAIT_S)
    await changed(place, "issue_after_rename", "comment", later, found=True, number=number, body=later)
    assert word in place.texts(word), "a comment under the new name must not be taken for a transfer"
    assert place.hooks() == hooks
    place.configure(monitorChanges=False)
    await place.unhooked()


async def test_repository_out_of_sight_is_told_and_nothing_of_it_is_deleted(line: Line) -> None:
    """GitHub tells a repository's own hooks nothing of its end: the next sync meets a 404, which proves nothing."""
    place = open_place(line, features=["issues", "code"])
    before = {one["externalId"] for one in place.sources()}
    place.change("delete_repository")
    run = place.sync()
    assert (run["state"], run["error"]["code"]) == ("failed", "lost_sight")
    (selected,) = line.door.get(f"{place.root}/resources?selected=true")["selected"]
    assert (selected["state"], selected["error"]["code"]) == ("error", "lost_sight")
    assert {one["externalId"] for one in place.sources()} == before
    assert place.view()["status"] == "active"


def _names(place: Place) -> list[str]:
    """The repository's name as the picker and as the hooks tell it."""
    selected = place.line.door.get(f"{place.root}/resources")["selected"]
    return [one["name"] for one in (*selected, *place.line.door.get(f"{place.root}/subscriptions")["items"])]


async def test_changed_default_branch_changes_the_set_of_files(line: Line) -> None:
    place = open_place(line, features=["code"])
    await place.hooked()
    word = line.word()
    place.change("push", branch="trunk", files={f"trunk/{word}.md": f"# Trunk\n\n{word}\n"}, delete=["src/two.py"])
    began = time.monotonic()
    place.change("change_default_branch", to="trunk")
    await place.measured("default_branch_changed", lambda: word in place.texts(word), began)
    wanted = {*FILES, f"trunk/{word}.md"} - {"src/two.py"}

    def same() -> None:
        assert {one["path"] for one in place.sources()} == wanted == {one["path"] for one in place.truth()["files"]}

    await eventually(same, timeout=WAIT_S)


async def test_deliveries_that_never_came_are_made_up_for_by_one_sync(place: Place) -> None:
    """GitHub sends nothing twice: what hooks lost, one sync finds. Deleted issues and comments leave no trace in a
    listing by `since`; only their events tell them.
    """
    word = place.line.word()
    edited = place.change("open_issue", title="Edited while nobody listens")["number"]
    comment = place.change("comment", number=edited, body="Before.")["id"]
    place.line.control.ask("POST", "settings", {"deliverHooks": False})
    try:
        number = place.change("open_issue", title=f"Missed {word}")["number"]
        pull = place.change("open_pull", title=f"Missed pull {word}")["number"]
        place.change("review", number=pull, state="APPROVED", body=f"Missed review {word}.")
        place.change("edit_comment", id=comment, body=f"Edited {word}.")
        place.change("edit_issue", number=edited, title=f"Edited {word}")
        for at in range(30):
            place.change("comment", number=number, body=f"Missed {word} too, {at}.")
            place.change("push", files={f"missed/{at}.md": f"# Missed {at}\n\n{word}\n"})
        place.change("push", delete=["missed/3.md"], rename={"missed/4.md": "missed/44.md"})
        place.change("close", number=number)
    finally:
        place.line.control.ask("POST", "settings", {"deliverHooks": True})
    place.sync()
    truth = place.truth()
    found = {one["externalId"]: one for one in place.sources()}
    files = {one["path"] for one in found.values() if one["type"] == "file"}
    issues = {one["metadata"]["number"]: one["metadata"]["state"] for one in found.values() if one["type"] == "issue"}
    assert files == {one["path"] for one in truth["files"]}
    assert issues == {one["number"]: one["state"] for one in truth["issues"]}
    content = place.source(f"issue:{number}")["content"]
    assert all(f"too, {at}." in content for at in range(30))
    later = place.source(f"issue:{edited}")
    assert (later["name"], f"Edited {word}." in later["content"]) == (f"Edited {word}", True)
    assert f"Missed review {word}." in place.source(f"pull_request:{pull}")["content"]
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
