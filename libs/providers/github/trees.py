"""Whole trees of a commit, also those that one answer cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from libs.common.errors import LostSight, ProviderContractBroken
from libs.common.provider.sync import Resource, SyncContext
from libs.providers.github.client import decode, get
from libs.providers.github.moves import Spot, spots
from libs.providers.github.parents import lost_sight_of_parent
from libs.providers.github.payloads import Tree, TreeEntry

LINK = "120000"


async def entries_of(ctx: SyncContext, resource: Resource, commit: str) -> list[TreeEntry]:
    """Everything but folders, in path order; an empty repository has nothing."""
    if not commit:
        return []
    tree = await _read(ctx, resource, commit, recursive=True)
    entries = tree.tree if not tree.truncated else await _walk(ctx, resource, commit)
    return distinct(entry for entry in entries if entry.type != "tree")


def distinct(entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    """In path order. Git's paths are bytes; what is no UTF-8 in them is shown as U+FFFD, so that two may look alike:
    all but the first are named by their blob as well, and none is lost."""
    found: list[TreeEntry] = []
    alike: Counter[str] = Counter()
    for entry in sorted(entries, key=lambda entry: (entry.path, entry.sha)):
        alike[entry.path] += 1
        if alike[entry.path] > 1:
            shown = f"{entry.path} ({alike[entry.path]}, {entry.sha[:8]})"
            entry = msgspec.structs.replace(entry, path=shown)
        found.append(entry)
    return found


def is_file(entry: TreeEntry) -> bool:
    """Submodules (160000) are other repositories and symlinks (120000) are names of other files."""
    return entry.type == "blob" and entry.mode != LINK


class Before(NamedTuple):
    """`told`: GitHub's own tree, so that what it has and the next one has not is removed, and not only unseen."""

    spots: dict[str, Spot]
    told: bool


async def state_before(ctx: SyncContext, resource: Resource, commit: str) -> Before:
    """The tree that we came from. Once GitHub has dropped the commit, or cuts its tree off: what we hold of it, which
    knows no modes, links and submodules."""
    try:
        tree = await _read(ctx, resource, commit, recursive=True)
    except LostSight:
        tree = None
    if tree is not None and not tree.truncated:
        return Before(spots(distinct(entry for entry in tree.tree if entry.type != "tree")), told=True)
    held = await ctx.held("file:")
    return Before({key.removeprefix("file:"): Spot(one.revision, "") for key, one in held.items()}, told=False)


async def _walk(ctx: SyncContext, resource: Resource, commit: str) -> list[TreeEntry]:
    """Tree by tree, for a repository above the 100,000 entries or 7 MB that one recursive answer holds."""
    found: list[TreeEntry] = []
    waiting = [("", commit)]
    while waiting:
        prefix, sha = waiting.pop()
        for entry in (await _read(ctx, resource, sha, recursive=False)).tree:
            placed = msgspec.structs.replace(entry, path=f"{prefix}{entry.path}")
            if entry.type == "tree":
                waiting.append((f"{placed.path}/", entry.sha))
            found.append(placed)
    return found


async def _read(ctx: SyncContext, resource: Resource, sha: str, *, recursive: bool) -> Tree:
    url = f"/repositories/{resource.external_id}/git/trees/{sha}"
    async with lost_sight_of_parent():
        tree = decode(await get(ctx.http, url, params={"recursive": "1"} if recursive else None), Tree)
    if tree.truncated and not recursive:
        raise ProviderContractBroken("GitHub cut off a tree that was asked for without its children")
    return tree
