"""What the played tracker holds at first hangs on no wording of the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from libs.providers.github.sandbox.generate import ISSUES, PULLS, UNMERGED_PULLS
from libs.providers.github.sandbox.texts import AGAIN, pieces, varied
from libs.providers.github.tests.sandbox.driven import REPO, Driven, driving, git

MORE = "\n## One more\n\nThe first sync of a large organisation.\n\n## Another\n\nA secret.\n\n## A third\n\nWords.\n"


async def tracked(hub: Driven) -> tuple[list[Any], list[Any]]:
    """Issues, and the pull requests that are open in every copy of a checkout, with what is said in them."""
    listed = [one for page in await hub.pages(f"{REPO}/issues?state=all&sort=created&direction=asc") for one in page]
    comments = [one for page in await hub.pages(f"{REPO}/issues/comments") for one in page]
    said: dict[str, list[str]] = {}
    for one in comments:
        said.setdefault(one["issue_url"], []).append(one["body"])
    told = [(one["number"], one["title"], one["body"], one["labels"], said.get(one["url"])) for one in listed]
    issues = [one for one, it in zip(told, listed, strict=True) if "pull_request" not in it]
    pulls = [one for one, it in zip(told, listed, strict=True) if "pull_request" in it]
    return issues, pulls[-UNMERGED_PULLS:]


async def test_issues_are_the_same_whatever_the_pages_say(hub: Driven, played_checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(played_checkout, tmp_path / "edited", symlinks=True)
    for page in ("README.md", "docs/moved.md", "docs/new.md"):
        with (tmp_path / "edited" / page).open("a") as text:
            text.write(MORE)
    git(tmp_path / "edited", "add", ".")
    git(tmp_path / "edited", "commit", "-qm", "Say more on three pages")
    before = await tracked(hub)
    async with driving(tmp_path / "edited", tmp_path / "other") as edited:
        assert await tracked(edited) == before
        files = await edited.json(f"{REPO}/git/trees/main?recursive=1")
    assert "docs/new.md" in {entry["path"] for entry in files["tree"]}
    assert (len(before[0]), len(before[1])) == (ISSUES, UNMERGED_PULLS)


async def test_copy_leaves_tests_out_and_keeps_the_pull_requests_that_wrote_them(
    played_checkout: Path, tmp_path: Path
) -> None:
    shutil.copytree(played_checkout, tmp_path / "tested", symlinks=True)
    for name in ("tests/test_door.py", "locks/tests/test_key.py", "locks/key.py"):
        (tmp_path / "tested" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tested" / name).write_text("KEY = 3\n")
    git(tmp_path / "tested", "add", ".")
    git(tmp_path / "tested", "commit", "-qm", "Test the lock")
    async with driving(tmp_path / "tested", tmp_path / "state") as hub:
        entries = (await hub.json(f"{REPO}/git/trees/main?recursive=1"))["tree"]
        pulls = [one for page in await hub.pages(f"{REPO}/pulls?state=all") for one in page]
        wrote = next(one for one in pulls if one["title"] == "Test the lock")
        changed = {file["filename"] for file in await hub.json(f"{REPO}/pulls/{wrote['number']}/files")}
    assert {one["path"] for one in entries if "key" in one["path"] or "test" in one["path"]} == {"locks/key.py"}
    assert changed == {"tests/test_door.py", "locks/tests/test_key.py", "locks/key.py"}


def test_every_issue_has_a_title_and_a_text_of_its_own() -> None:
    assert len(pieces()) >= max(ISSUES, PULLS)
    assert len({piece.title for piece in pieces()}) == len({piece.text for piece in pieces()}) == len(pieces())
    assert max(len(piece.title) for piece in pieces()) <= 80
    assert varied(len(pieces())).title == f"{AGAIN[0]} {pieces()[0].title}"
