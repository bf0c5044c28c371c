"""The played GitHub computes from git what git itself computes, and remembers it."""

from __future__ import annotations

import base64
import itertools
import shutil
from pathlib import Path

import pytest

from libs.providers.github.tests.sandbox.driven import REPO, Driven, driving, git


async def test_tree_is_what_git_lists(hub: Driven, played_checkout: Path) -> None:
    head = git(played_checkout, "rev-parse", "HEAD").strip()
    answer = await hub.json(f"{REPO}/git/trees/{head}?recursive=0")
    listed = [line.split(None, 4) for line in git(played_checkout, "ls-tree", "-r", "-t", "-l", "HEAD").splitlines()]
    expected = {(path, mode, kind, sha, None if size == "-" else int(size)) for mode, kind, sha, size, path in listed}
    assert {(e["path"], e["mode"], e["type"], e["sha"], e.get("size")) for e in answer["tree"]} == expected
    assert answer["truncated"] is False
    await hub.control("POST", "settings", treeLimit=3)
    cut = await hub.json(f"{REPO}/git/trees/{head}?recursive=1")
    assert (cut["truncated"], len(cut["tree"])) == (True, 3)


async def test_compare_is_what_git_diffs(hub: Driven, played_checkout: Path) -> None:
    first, last = git(played_checkout, "rev-list", "--reverse", "HEAD").split()[0::2]
    answer = await hub.json(f"{REPO}/compare/{first}...{last}")
    words = {"A": "added", "D": "removed", "M": "modified", "R": "renamed"}
    lines = [
        line.split("\t")
        for line in git(played_checkout, "diff", "-M", "--name-status", f"{first}...{last}").splitlines()
    ]
    expected = {(line[-1], words[line[0][0]], line[1] if line[0][0] == "R" else None) for line in lines}
    assert {(f["filename"], f["status"], f.get("previous_filename")) for f in answer["files"]} == expected
    assert (answer["status"], answer["ahead_by"], answer["total_commits"]) == ("ahead", 2, 2)
    patches = {f["filename"]: f.get("patch") for f in answer["files"]}
    assert patches["logo.bin"] is None
    told = git(played_checkout, "diff", f"{first}...{last}", "--", "app.py")
    assert patches["app.py"] == told[told.index("@@") :].rstrip("\n")
    assert (await hub.json(f"{REPO}/compare/{last}...{first}"))["status"] == "behind"


async def test_merged_pull_request_is_a_real_commit_over_its_parent(hub: Driven, played_checkout: Path) -> None:
    truth = (await hub.control("GET", "truth"))["repositories"][0]
    merged = {(pull["baseSha"], pull["headSha"]): pull for pull in truth["pulls"] if pull["merged"]}
    history = git(played_checkout, "rev-list", "--reverse", "HEAD").split()
    assert set(merged) == set(itertools.pairwise(history))
    pull = merged[history[-2], history[-1]]
    assert pull["title"] == git(played_checkout, "log", "-1", "--format=%s").strip()
    files = await hub.json(f"{REPO}/pulls/{pull['number']}/files")
    assert [(f["filename"], f["additions"], f["deletions"]) for f in files] == [("app.py", 2, 1)]


async def test_merging_moves_the_base_branch_and_closes_the_pull_request(hub: Driven) -> None:
    opened = await hub.change("open_pull", title="Add a shed", files={"shed.md": "# Shed"})
    await hub.change("push", files={"meanwhile.md": "on the base branch"})
    merged = await hub.change("merge", number=opened["number"])
    pull = await hub.json(f"{REPO}/pulls/{opened['number']}")
    assert (pull["merged"], pull["state"], pull["merge_commit_sha"]) == (True, "closed", merged["after"])
    paths = {f["path"] for f in (await hub.control("GET", "truth"))["repositories"][0]["files"]}
    assert {"shed.md", "meanwhile.md"} <= paths
    clash = await hub.change("open_pull", title="Clash", files={"shed.md": "# Barn"})
    await hub.change("push", files={"shed.md": "# Palace"})
    refused = await hub.client.post("/_control/github/change", json={"op": "merge", "number": clash["number"]})
    assert refused.status_code == 409
    assert (await hub.json(f"{REPO}/pulls/{clash['number']}"))["merged"] is False


async def test_forced_push_leaves_a_history_that_compare_calls_diverged(hub: Driven) -> None:
    pushed = await hub.change("push", files={"a.md": "a"})
    forced = await hub.change("push", force=True, files={"b.md": "b"})
    answer = await hub.json(f"{REPO}/compare/{pushed['after']}...{forced['after']}")
    assert (answer["status"], answer["ahead_by"], answer["behind_by"]) == ("diverged", 1, 1)
    await hub.change("create_repository", fullName="sandbox/lone", files={"a.md": "a"})
    old = (await hub.json("/repos/sandbox/lone/branches/main"))["commit"]["sha"]
    alone = await hub.change("push", repository="sandbox/lone", force=True, files={"c.md": "c"})
    apart = await hub.get(f"/repos/sandbox/lone/compare/{old}...{alone['after']}")
    assert apart.status_code == 404
    assert apart.json()["message"].startswith("No common ancestor between")


async def test_blobs_and_contents_give_the_bytes_of_git(hub: Driven, played_checkout: Path) -> None:
    data = (played_checkout / "logo.bin").read_bytes()
    sha = git(played_checkout, "rev-parse", "HEAD:logo.bin").strip()
    blob = await hub.json(f"{REPO}/git/blobs/{sha}")
    assert "\n" in blob["content"].strip()
    assert base64.b64decode(blob["content"]) == data
    raw = await hub.get(f"{REPO}/git/blobs/{sha}", accept="application/vnd.github.raw+json")
    assert raw.content == data
    assert (await hub.json(f"{REPO}/contents/link"))["path"] == "link"
    assert base64.b64decode((await hub.json(f"{REPO}/contents/link"))["content"]).startswith(b"# House")
    assert {e["name"]: e["type"] for e in await hub.json(f"{REPO}/contents/")}["docs"] == "dir"
    bare = await hub.get(f"{REPO}/commits/main", accept="application/vnd.github.sha")
    assert bare.text == git(played_checkout, "rev-parse", "HEAD").strip()
    assert [c["sha"] for c in await hub.json(f"{REPO}/commits")] == git(played_checkout, "rev-list", "HEAD").split()


async def test_empty_repository_answers_409_to_whoever_asks_for_code(hub: Driven) -> None:
    await hub.change("create_repository", fullName="sandbox/empty")
    for path in ("/git/trees/main", "/commits", "/git/ref/heads/main"):
        answer = await hub.get(f"/repos/sandbox/empty{path}")
        assert (answer.status_code, answer.json()["message"]) == (409, "Git Repository is empty.")


@pytest.mark.parametrize("kind", ["shallow", "files"])
async def test_checkout_of_one_commit_or_none_gives_a_whole_world(
    played_checkout: Path, tmp_path: Path, kind: str
) -> None:
    root = tmp_path / "root"
    if kind == "shallow":
        git(tmp_path, "clone", "-q", "--depth", "1", played_checkout.as_uri(), "root")
    else:
        shutil.copytree(played_checkout, root, ignore=shutil.ignore_patterns(".git"), symlinks=True)
        (root / ".gitignore").write_text("*.log\n")
        (root / "noise.log").write_text("not for the copy")
    async with driving(root, tmp_path / "state") as hub:
        truth = (await hub.control("GET", "truth"))["repositories"][0]
        assert truth["counts"]["issues"] + truth["counts"]["pulls"] >= 200
        assert len(await hub.json(f"{REPO}/commits")) == 1
        assert "noise.log" not in {file["path"] for file in truth["files"]}
        assert "docs/moved.md" in {file["path"] for file in truth["files"]}
        pull = truth["pulls"][0]
        assert (await hub.json(f"{REPO}/pulls/{pull['number']}/files"))[0]["status"] in ("modified", "added")
        pushed = await hub.change("push", files={"new.md": "# new"}, rename={"app.py": "bin/app.py"})
        compared = await hub.json(f"{REPO}/compare/{pushed['before']}...{pushed['after']}")
        assert {f["filename"]: f["status"] for f in compared["files"]} == {"new.md": "added", "bin/app.py": "renamed"}
    assert not (root / "new.md").exists()


async def test_two_first_starts_of_one_checkout_make_the_same_world(
    hub: Driven, played_checkout: Path, tmp_path: Path
) -> None:
    async with driving(played_checkout, tmp_path / "second") as other:
        assert await other.control("GET", "truth") == await hub.control("GET", "truth")


async def test_restart_keeps_what_changed(played_checkout: Path, played_world: Path, tmp_path: Path) -> None:
    shutil.copytree(played_world, tmp_path / "state", dirs_exist_ok=True)
    async with driving(played_checkout, tmp_path / "state") as hub:
        await hub.change("push", files={"kept.md": "# kept"})
        number = (await hub.change("open_issue", title="Kept"))["number"]
        await hub.change("comment", number=number, body="Also kept")
        await hub.control("POST", "settings", rateLimit=77)
        await hub.control("POST", "expire", token="ghp_sandbox")
        before = await hub.control("GET", "truth")
    async with driving(played_checkout, tmp_path / "state") as hub:
        assert await hub.control("GET", "truth") == before
        assert (await hub.control("GET", "settings"))["rateLimit"] == 77
        assert (await hub.get("/user")).status_code == 401
        assert (await hub.change("open_issue", title="Next"))["number"] == number + 1


async def test_change_half_written_when_killed_never_happened(
    played_checkout: Path, played_world: Path, tmp_path: Path
) -> None:
    shutil.copytree(played_world, tmp_path / "state", dirs_exist_ok=True)
    journal = tmp_path / "state" / "github" / "world.jsonl"
    async with driving(played_checkout, tmp_path / "state") as hub:
        await hub.change("edit_issue", number=1, title="Whole")
        whole = journal.stat().st_size
        await hub.change("edit_issue", number=1, title="Half")
    with journal.open("ab") as file:
        file.truncate(whole + 20)
    async with driving(played_checkout, tmp_path / "state") as hub:
        assert (await hub.json(f"{REPO}/issues/1"))["title"] == "Whole"
        await hub.change("edit_issue", number=1, title="Later")
    async with driving(played_checkout, tmp_path / "state") as hub:
        assert (await hub.json(f"{REPO}/issues/1"))["title"] == "Later"


async def test_push_makes_links_submodules_bits_and_merges_as_git_has_them(hub: Driven, played_checkout: Path) -> None:
    commit = "1" * 40
    await hub.change("push", branch="side", files={"side.md": "# Side\n"})
    pushed = await hub.change(
        "push", merge="side", files={"run.sh": "echo\n"}, executable={"run.sh": True}, links={"way": "app.py"},
        submodules={"vendor/lib": commit},
    )  # fmt: skip
    tree = {e["path"]: e for e in (await hub.json(f"{REPO}/git/trees/{pushed['after']}?recursive=1"))["tree"]}
    assert [tree[path]["mode"] for path in ("run.sh", "way", "vendor/lib")] == ["100755", "120000", "160000"]
    assert (tree["vendor/lib"]["type"], tree["vendor/lib"]["sha"]) == ("commit", commit)
    assert "side.md" in tree
    merge = await hub.json(f"{REPO}/commits/{pushed['after']}")
    parent = await hub.json(f"{REPO}/commits/{merge['parents'][0]['sha']}")
    assert len(parent["parents"]) == 2
    compared = await hub.json(f"{REPO}/compare/{pushed['before']}...{pushed['after']}")
    assert {f["filename"] for f in compared["files"]} == {"run.sh", "way", "vendor/lib", "side.md"}


async def test_file_that_became_a_link_is_one_changed_entry(hub: Driven) -> None:
    pushed = await hub.change("push", links={"app.py": "README.md"})
    compared = await hub.json(f"{REPO}/compare/{pushed['before']}...{pushed['after']}")
    assert [(f["filename"], f["status"]) for f in compared["files"]] == [("app.py", "changed")]


async def test_contents_describe_a_submodule_and_a_link_to_nothing(hub: Driven) -> None:
    await hub.change("push", links={"nowhere": "gone.md"}, submodules={"lib": "1" * 40})
    link, module = await hub.json(f"{REPO}/contents/nowhere"), await hub.json(f"{REPO}/contents/lib")
    assert (link["type"], link["target"], "content" in link) == ("symlink", "gone.md", False)
    assert (module["type"], module["sha"], "content" in module) == ("submodule", "1" * 40, False)
