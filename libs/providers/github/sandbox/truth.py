"""What the played GitHub holds now, in full, for comparison with what a copy of it says."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from libs.providers.github.sandbox.changes import shelf_named
from libs.providers.github.sandbox.records import Issue
from libs.providers.github.sandbox.shapes import iso
from libs.providers.github.sandbox.world import Shelf, World


def truth(world: World, repository: str | None) -> dict[str, Any]:
    shelves = [shelf_named(world, repository)] if repository else list(world.shelves.values())
    return {
        "repositories": [_repository(shelf) for shelf in shelves if not shelf.repo.deleted],
        "deletedRepositories": [s.repo.full_name for s in shelves if s.repo.deleted],
    }


def _repository(shelf: Shelf) -> dict[str, Any]:
    repo = shelf.repo
    listed = [it for it in shelf.issues.values() if it.listed]
    numbers = {it.number for it in listed}
    told = [c for c in shelf.comments.values() if c.number in numbers]
    said = [c for c in shelf.review_comments.values() if c.number in numbers]
    files = _files(shelf)
    return {
        "id": repo.id, "fullName": repo.full_name, "defaultBranch": repo.default_branch, "private": repo.private,
        "head": None if shelf.git.empty else shelf.git.head_of(repo.default_branch),
        "counts": {
            "issues": sum(it.pull is None for it in listed), "pulls": sum(it.pull is not None for it in listed),
            "comments": len(told), "reviews": sum(r.number in numbers for r in shelf.reviews.values()),
            "reviewComments": len(said), "files": len(files), "hooks": len(shelf.hooks),
        },
        "issues": [_issue(it) for it in listed if it.pull is None],
        "pulls": [_issue(it) for it in listed if it.pull is not None],
        "comments": [{"id": c.id, "number": c.number, "body": c.body, "updatedAt": iso(c.updated_at)} for c in told],
        "reviewComments": [{"id": c.id, "number": c.number, "path": c.path, "body": c.body} for c in said],
        "reviews": [
            {"id": r.id, "number": r.number, "state": r.state, "body": r.body}
            for r in shelf.reviews.values()
            if r.number in numbers
        ],
        "files": files,
        "hooks": [{"id": h.id, "url": h.url, "events": h.events, "active": h.active} for h in shelf.hooks.values()],
    }  # fmt: skip


def _issue(it: Issue) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": it.id, "number": it.number, "title": it.title, "body": it.body, "state": it.state,
        "labels": it.labels, "comments": it.comments, "updatedAt": iso(it.updated_at),
    }  # fmt: skip
    if it.pull:
        shape |= {"headSha": it.pull.head_sha, "baseSha": it.pull.base_sha, "merged": it.pull.merged_at is not None}
    return shape


def _files(shelf: Shelf) -> list[dict[str, Any]]:
    """Blobs of the default branch's head; folders and submodules are not files."""
    if shelf.git.empty:
        return []
    tree, _ = shelf.git.tree(shelf.repo.default_branch)
    entries, _ = shelf.git.entries(tree, recursive=True, limit=10_000_000)
    return [cast(dict[str, Any], msgspec.to_builtins(e)) for e in entries if e.type == "blob"]
