"""A push: the commit that it makes, and how GitHub tells of it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pygit2
from pygit2.enums import FileMode

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.asked import Content, Push
from libs.providers.github.sandbox.gitstore import EMAIL, NAME, ZERO
from libs.providers.github.sandbox.world import Shelf
from libs.sandbox.contract import ControlRefused

MOST_TOLD_COMMITS = 2048


def content(value: Content) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (KeyError, binascii.Error) as wrong:
        raise ControlRefused('content is text or {"base64": …}') from wrong


def commit(shelf: Shelf, branch: str, files: dict[str, bytes | None], it: Push, when: int) -> tuple[str, str]:
    """Moves the branch to a new commit; answers where it was (zeros for a new branch) and where it is."""
    git = shelf.git
    if branch in git.branches():
        before = git.head_of(branch)
        parents = _left_behind(shelf, before, it.to) if it.force or it.to else [before]
    else:
        before = ZERO
        parents = [] if git.empty else [git.head_of(shelf.repo.default_branch)]
    if it.merge:
        words = f"Merge branch '{it.merge}'"
        parents = [git.merge(parents[0], git.head_of(it.merge), words, when)]
    _refuse_missing(shelf, parents, [*it.rename, *it.delete])

    def also(index: pygit2.Index) -> None:
        _place(shelf, index, it)

    after = git.write(parents=parents, files=files, renames=it.rename, message=it.message, when=when, also=also)
    git.point(f"heads/{branch}", after)
    return before, after


def _place(shelf: Shelf, index: pygit2.Index, it: Push) -> None:
    """What is no plain file, and the bit that makes one a program."""
    for path, target in it.links.items():
        index.add(pygit2.IndexEntry(path, shelf.git.repo.create_blob(target.encode()), FileMode.LINK))
    for path, commit in it.submodules.items():
        index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=commit), FileMode.COMMIT))
    for path, wanted in it.executable.items():
        mode = FileMode.BLOB_EXECUTABLE if wanted else FileMode.BLOB
        index.add(pygit2.IndexEntry(path, index[path].id, mode))


def _refuse_missing(shelf: Shelf, parents: list[str], paths: list[str]) -> None:
    tree = shelf.git.commit(parents[0]).tree if parents else None
    missing = [path for path in paths if tree is None or path not in tree]
    if missing:
        raise ControlRefused(f"no such file: {', '.join(missing)}", status=404)


def _left_behind(shelf: Shelf, head: str, to: str | None) -> list[str]:
    """What a forced push builds on: the asked commit, else the parent, else (a lone first commit) a new root."""
    if to:
        return [str(shelf.git.commit(to).id)]
    found = shelf.git.commit(head)
    if found.parent_ids:
        return [str(found.parent_ids[0])]
    root = shelf.git.write_tree(str(found.tree_id), [], "A new beginning", found.commit_time)
    return [root]


def payload(shelf: Shelf, branch: str, before: str, after: str) -> dict[str, Any]:
    """The push event; its repository's times are epoch integers here, unlike everywhere else."""
    repo, git = shelf.repo, shelf.git
    head = git.commit(after)
    old = None if before == ZERO else git.commit(before)
    common = None if old is None else git.merge_base(old, head)
    new = [head] if old is None or common is None else git.between(old, head)
    told = [_commit(shelf, it) for it in new[-MOST_TOLD_COMMITS:]]
    web = shapes.repo_web(repo)
    owner = {"name": repo.owner, "email": EMAIL, "login": repo.owner, "id": shapes.account_id(repo.owner)}
    times = {"created_at": repo.created_at, "pushed_at": repo.pushed_at, "master_branch": repo.default_branch}
    return {
        "ref": f"refs/heads/{branch}", "before": before, "after": after, "created": old is None, "deleted": False,
        "forced": old is not None and (common is None or common.id != old.id), "base_ref": None,
        "compare": f"{web}/compare/{before[:12]}...{after[:12]}", "commits": told, "head_commit": _commit(shelf, head),
        "repository": {**shapes.repository(repo), **times, "owner": owner, "stargazers": 0},
        "pusher": {"name": NAME, "email": EMAIL}, "sender": shapes.user(shapes.GENERATOR),
    }  # fmt: skip


def _commit(shelf: Shelf, it: pygit2.Commit) -> dict[str, Any]:
    """A rename is told as one path removed and one added."""
    added, removed, modified = [], [], []
    for file in shelf.git.touched(it):
        if file.status in ("added", "renamed", "copied"):
            added.append(file.path)
        if file.status == "removed":
            removed.append(file.path)
        if file.status == "renamed" and file.previous:
            removed.append(file.previous)
        if file.status in ("modified", "changed"):
            modified.append(file.path)
    who = {"name": NAME, "email": EMAIL, "username": NAME}
    return {
        "id": str(it.id), "tree_id": str(it.tree_id), "distinct": True, "message": it.message.rstrip("\n"),
        "timestamp": shapes.iso(it.commit_time), "url": f"{shapes.repo_web(shelf.repo)}/commit/{it.id}",
        "author": who, "committer": who, "added": added, "removed": removed, "modified": modified,
    }  # fmt: skip
