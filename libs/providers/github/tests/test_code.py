"""The files of the default branch: what a push costs, what it is told as, and every way the head may move."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from libs.common.errors import LostSight
from libs.common.provider.sync import Gone, Held, Listed, Observed
from libs.providers.github.files import blob_id
from libs.providers.github.moves import compared
from libs.providers.github.payloads import FileChange
from libs.providers.github.sync import FACET
from libs.providers.github.tests.played import Played, assert_files_equal_truth
from libs.providers.github.tests.scripted import Scripted

LINES = "".join(f"line {number}\n" for number in range(30))
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"


async def pushed(played: Played, *, hinted: bool = True, **push: Any) -> list[str]:
    """A push and the pull that a hint of it makes; answers what was asked."""
    await played.change(op="push", **push)
    before = len(played.copy.wire.asked)
    await played.copy.pull("code", hinted=hinted)
    return [url.split("?")[0] for url in played.copy.wire.asked[before:] if "_control" not in url]


def rows(played: Played) -> set[tuple[str, str | None, str]]:
    return {(file.status, file.previous_path, file.path) for file in played.copy.pushes[-1].files}


def files(asked: list[str]) -> list[str]:
    return [url for url in asked if "/git/blobs/" in url or "/contents/" in url]


async def test_hinted_push_asks_for_branch_comparison_and_its_blobs_alone(played: Played) -> None:
    await played.copy.pull("code")
    asked = await pushed(played, files={"a.md": LINES, "b.md": "one line, no newline"}, delete=["logo.bin"])
    assert len(asked) == 2 + 2
    assert ["/branches/" in asked[0], "/compare/" in asked[1]] == [True, True]
    assert len(files(asked)) == 2
    await assert_files_equal_truth(played)


async def test_poll_looks_at_the_repository_for_another_default_branch(played: Played) -> None:
    await played.copy.pull("code")
    asked = await pushed(played, hinted=False, files={"a.md": LINES})
    assert len(asked) == 3 + 1


async def test_first_listing_tells_no_push(played: Played) -> None:
    await played.copy.pull("code")
    assert played.copy.pushes == []


async def test_push_is_told_with_counts_blobs_and_a_small_patch(played: Played) -> None:
    await played.copy.pull("code")
    old = played.copy.objects["file:app.py"].revision
    await pushed(played, files={"app.py": '"""Opens the door."""\n\nDOOR = 2\n'}, delete=["logo.bin"])
    told = {file.path: file for file in played.copy.pushes[-1].files}
    app, logo = told["app.py"], told["logo.bin"]
    assert (app.status, app.additions, app.deletions) == ("modified", 1, 1)
    assert (app.previous_blob_id, app.blob_id) == (old, played.copy.objects["file:app.py"].revision)
    assert app.patch is not None
    assert "+DOOR = 2" in app.patch
    assert (logo.status, logo.blob_id) == ("removed", None)
    assert logo.previous_blob_id is not None
    assert [played.copy.pushes[-1].forced, played.copy.pushes[-1].branch] == [
        False,
        (await played.truth())["defaultBranch"],
    ]


async def test_equal_file_moves_and_a_similar_one_is_removed_and_added(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, files={"one.txt": LINES, "two.txt": LINES + "two\n"})
    await pushed(
        played, rename={"one.txt": "x/one.txt", "two.txt": "x/two.txt"}, files={"x/two.txt": LINES + "two, edited\n"}
    )
    assert rows(played) == {
        ("renamed", "one.txt", "x/one.txt"), ("removed", None, "two.txt"), ("added", None, "x/two.txt"),
    }  # fmt: skip
    assert played.copy.objects["file:x/one.txt"].previous_key == "file:one.txt"
    await assert_files_equal_truth(played)


async def test_equal_blobs_at_two_paths_prove_no_rename(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, files={"twin.txt": LINES})
    await pushed(played, delete=["twin.txt"], files={"a.txt": LINES, "b.txt": LINES})
    assert rows(played) == {("removed", None, "twin.txt"), ("added", None, "a.txt"), ("added", None, "b.txt")}


async def test_trees_and_comparison_tell_the_same_push_alike(played: Played) -> None:
    """A copy that saw each push by comparison, and one that is told the whole way back by trees."""
    await played.copy.pull("code")
    head = played.copy.cursors["code"]["head"]
    await pushed(played, files={"moved.txt": LINES, "kept.txt": LINES + "k\n"})
    await pushed(played, rename={"moved.txt": "z/moved.txt"}, files={"kept.txt": "another\n"}, delete=["logo.bin"])
    compared_ids = {
        (f.status, f.previous_path, f.path, f.previous_blob_id, f.blob_id) for f in played.copy.pushes[-1].files
    }
    await played.change(op="push", force=True, to=head, files={"moved.txt": LINES, "kept.txt": LINES + "k\n"})
    await played.copy.pull("code", hinted=True)
    back = played.copy.pushes[-1]
    assert back.forced
    mirrored = {
        ("renamed", "z/moved.txt", "moved.txt"), ("modified", None, "kept.txt"), ("added", None, "logo.bin"),
    }  # fmt: skip
    assert {row[:3] for row in compared_ids} == {
        ("renamed", "moved.txt", "z/moved.txt"), ("modified", None, "kept.txt"), ("removed", None, "logo.bin"),
    }  # fmt: skip
    assert rows(played) == mirrored
    await assert_files_equal_truth(played)


async def test_push_is_told_once_though_its_owner_is_killed_after_its_first_page(played: Played) -> None:
    await played.copy.pull("code")
    await played.change(op="push", files={f"many/{number}.txt": f"{number}\n" for number in range(250)})
    await played.copy.pull("code", hinted=True, stop_after=1)
    await played.copy.pull("code", hinted=True)
    assert [len(push.files) for push in played.copy.pushes] == [250]
    await assert_files_equal_truth(played)


async def test_move_there_and_back_and_there_again_is_three(played: Played) -> None:
    await played.copy.pull("code")
    first = played.copy.cursors["code"]["head"]
    await pushed(played, files={"a.md": LINES})
    for _ in range(2):
        await played.change(op="push", force=True, to=first, files={"b.md": LINES})
        await played.copy.pull("code", hinted=True)
    keys = [push.key for push in played.copy.pushes]
    assert len(set(keys)) == len(keys)


async def test_300_files_may_be_more_and_are_read_as_trees(played: Played) -> None:
    await played.copy.pull("code")
    asked = await pushed(played, files={f"bulk/{number}.txt": f"{number}\n" for number in range(320)})
    assert sum("/git/trees/" in url for url in asked) == 2
    assert len(played.copy.pushes[-1].files) == 320
    assert played.copy.pushes[-1].forced is False
    await assert_files_equal_truth(played)


async def test_before_that_github_dropped_is_taken_from_what_we_hold(played: Played) -> None:
    await played.copy.pull("code")
    head = played.copy.cursors["code"]["head"]
    for path in ("/compare/", f"/git/trees/{head}"):
        await played.control("faults", {"match": path, "kind": "status", "status": 404, "times": 0})
    await pushed(played, rename={"app.py": "door.py"}, delete=["logo.bin"], force=True)
    assert rows(played) >= {("renamed", "app.py", "door.py"), ("removed", None, "logo.bin")}
    assert played.copy.pushes[-1].forced
    await assert_files_equal_truth(played)


async def test_histories_without_a_common_ancestor_are_read_as_trees(played: Played) -> None:
    await played.change(op="create_repository", fullName="sandbox/lone", files={"a.md": LINES, "b.md": "b\n"})
    await played.copy.select("sandbox/lone")
    await played.copy.pull("code")
    asked = await pushed(played, repository="sandbox/lone", force=True, delete=["b.md"])
    assert any("/compare/" in url for url in asked)
    assert rows(played) == {("removed", None, "b.md")}
    await assert_files_equal_truth(played)


async def test_truncated_tree_is_walked_folder_by_folder(played: Played) -> None:
    await played.change(op="push", files={"docs/a/b/c.md": LINES})
    await played.control("settings", {"treeLimit": 4})
    await played.copy.pull("code")
    await assert_files_equal_truth(played)
    assert any("recursive" not in url for url in played.copy.wire.asked if "/git/trees/" in url)


async def test_default_branch_whose_name_is_gone_is_looked_up_again(played: Played) -> None:
    await played.copy.pull("code")
    old = (await played.truth())["defaultBranch"]
    await played.change(op="change_default_branch", to="trunk")
    await played.control("faults", {"match": f"/branches/{old}", "kind": "status", "status": 404, "times": 0})
    await pushed(played, files={"new.md": LINES})
    assert played.copy.pushes[-1].branch == "trunk"
    await assert_files_equal_truth(played)


async def test_default_branch_there_and_back_is_followed_both_times(played: Played) -> None:
    await played.copy.pull("code")
    old = (await played.truth())["defaultBranch"]
    await played.change(op="push", branch="trunk", files={"only-here.md": LINES})
    for branch in ("trunk", old):
        await played.change(op="change_default_branch", to=branch)
        await played.copy.pull("code")
        await assert_files_equal_truth(played)
    assert [push.branch for push in played.copy.pushes] == ["trunk", old]


async def test_links_and_submodules_are_told_and_never_kept(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, links={"to-app": "app.py", "to-nowhere": "gone"}, submodules={"vendor/lib": "1" * 40})
    assert rows(played) == {("added", None, path) for path in ("to-app", "to-nowhere", "vendor/lib")}
    assert not {"file:to-app", "file:to-nowhere", "file:vendor/lib"} & played.copy.objects.keys()
    await played.copy.pull("code", full=True)
    assert not {"file:to-app", "file:to-nowhere", "file:vendor/lib"} & played.copy.objects.keys()


async def test_file_that_became_a_link_leaves(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, links={"app.py": "README.md"})
    assert rows(played) == {("changed", None, "app.py")}
    assert "file:app.py" not in played.copy.objects


async def test_mode_alone_is_a_change_of_the_same_blob(played: Played) -> None:
    await played.copy.pull("code")
    asked = await pushed(played, executable={"app.py": True})
    [file] = played.copy.pushes[-1].files
    assert (file.status, file.blob_id) == ("modified", file.previous_blob_id)
    assert files(asked) == []


async def test_pointer_of_large_file_storage_is_kept_without_its_words(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, files={"art.psd": LFS})
    art = played.copy.objects["file:art.psd"]
    assert (art.content, art.metadata["skipped"]) == ("", "LFS pointer")


async def test_binary_file_is_kept_without_content(played: Played) -> None:
    await played.copy.pull("code")
    logo = played.copy.objects["file:logo.bin"]
    assert (logo.content, logo.metadata["skipped"]) == ("", "binary")


async def test_large_file_is_listed_and_its_bytes_are_not_asked_for(played: Played) -> None:
    big = {"base64": b64encode(b"x" * 1_000_001).decode()}
    await played.change(op="push", files={"big.txt": big})
    await played.copy.pull("code")
    found = played.copy.objects["file:big.txt"]
    assert (found.content, found.metadata["skipped"]) == ("", "too large")
    assert not any(found.revision in url for url in played.copy.wire.asked)


async def test_large_file_of_a_push_is_skipped_too(played: Played) -> None:
    await played.copy.pull("code")
    await pushed(played, files={"big.bin": {"base64": b64encode(b"\0" * 1_000_001).decode()}})
    assert played.copy.objects["file:big.bin"].metadata["skipped"] == "too large"


@pytest.mark.parametrize("facts", [{}, {"commit": "b" * 40}])
async def test_blob_above_what_github_answers_is_too_large(facts: dict[str, str]) -> None:
    refusal = {"message": "This API returns blobs up to 100 MB in size.", "errors": [{"code": "too_large"}]}
    asked = Listed(key="file:huge.iso", type="file", revision="a" * 40, facts=facts)
    [found] = await FACET.fetch(Scripted((403, refusal)).context(), [asked])
    assert isinstance(found, Observed)
    assert found.metadata["skipped"] == "too large"


async def test_file_asked_for_by_its_path_alone_is_read_or_proven_gone(played: Played) -> None:
    await played.copy.pull("code")
    keys = ("file:app.py", "file:docs", "file:never.md")
    found = await FACET.fetch(played.copy.context(), [Listed(key=key, type="file", revision="") for key in keys])
    assert isinstance(found[0], Observed)
    assert found[0].revision == blob_id(found[0].content.encode())
    assert [type(one) for one in found[1:]] == [Gone, Gone]
    await played.change(op="delete_repository")
    with pytest.raises(LostSight):
        await FACET.fetch(played.copy.context(), [Listed(key="file:app.py", type="file", revision="")])


def test_rename_of_what_is_no_file_is_proven_by_an_unchanged_line() -> None:
    link = FileChange(filename="b", previous_filename="a", status="renamed", sha="1" * 40)
    assert [(row.status, row.previous_path) for row in compared([link], {})] == [("renamed", "a")]
    edited = FileChange(filename="b", previous_filename="a", status="renamed", sha="1" * 40, additions=1)
    assert {row.status for row in compared([edited], {})} == {"removed", "added"}


@pytest.mark.parametrize("status", ["copied", "unchanged"])
def test_rare_status_of_a_comparison_is_read(status: str) -> None:
    file = FileChange(filename="b", previous_filename="a", status=status, sha="1" * 40, additions=4)
    told = [(row.status, row.path, row.additions) for row in compared([file], {"a": "1" * 40})]
    assert told == ([("added", "b", None)] if status == "copied" else [])


async def test_held_is_asked_for_the_paths_of_the_comparison_alone(played: Played) -> None:
    await played.copy.pull("code")
    asked: list[set[str]] = []
    held = played.copy.held

    async def noting(prefix: str, keys: Any = None) -> dict[str, Held]:
        asked.append(set(keys))
        return await held(prefix, keys)

    played.copy.held = noting  # type: ignore[method-assign]
    await pushed(played, files={"app.py": "DOOR = 3\n"})
    assert asked == [{"file:app.py"}]
