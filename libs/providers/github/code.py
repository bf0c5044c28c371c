"""The files of the default branch: by comparing two heads where that is exact, else by the whole tree."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import msgspec

from libs.common.errors import LostSight, ProviderContractBroken, ResourceGone
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Gone,
    Item,
    Listed,
    Observed,
    Page,
    Quarantined,
    Removed,
    Resource,
    SyncContext,
)
from libs.common.provider.text_kinds import decode_text
from libs.providers.github.client import HEADERS, decode, get, get_unless_known
from libs.providers.github.objects import resource_of
from libs.providers.github.parents import lost_sight_of_parent
from libs.providers.github.payloads import Branch, Comparison, FileChange, Repository, Tree, TreeEntry

BATCH = 100
COMPARE_LIMIT = 300  # docs: the file list of a comparison ends there, on page one
MAX_FILE_BYTES = 1_000_000
EMPTY = b"Git Repository is empty"


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`head` is what we hold whole. While a listing is under way: its target commit, and how far it got."""

    branch: str = ""
    head: str = ""
    target: str = ""
    offset: int = 0
    by: str = ""


class Blob(msgspec.Struct, frozen=True):
    content: str
    encoding: str
    size: int = 0


async def pull(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    at = msgspec.convert(cursor or {}, Position)
    resource = await _repository(ctx)
    if not at.target:
        at = await _aim(ctx, resource, at)
    if at.target == at.head and not ctx.full:
        held = Position(branch=at.branch, head=at.head)  # without a target: the next pull must look at the head again
        yield Page(items=(), cursor=_cursor(held), last=True, resource=_changed(ctx, resource))
        return
    async for page in _towards(ctx, resource, at):
        yield page


async def _aim(ctx: SyncContext, resource: Resource, at: Position) -> Position:
    """Takes the head before anything is listed. Another branch than before means the trees must be compared whole."""
    branch = str(resource.facts["default_branch"])
    head = await _head(ctx, resource, branch, known=bool(at.head) and not ctx.full)
    same_branch = branch == at.branch
    target = head if head is not None else at.head
    by = "compare" if at.head and same_branch and target and not ctx.full else "tree"
    return Position(branch=branch, head=at.head, target=target, by=by)


async def _towards(ctx: SyncContext, resource: Resource, at: Position) -> AsyncIterator[Page]:
    items = await _compare(ctx, resource, at) if at.by == "compare" else None
    whole = items is None
    if items is None:
        at = at if at.by == "tree" else msgspec.structs.replace(at, by="tree", offset=0)
        items = [_listed(entry) for entry in await _tree(ctx, resource, at.target)]
    async for page in _pages(ctx, resource, at, items, whole=whole):
        yield page


async def _pages(
    ctx: SyncContext, resource: Resource, at: Position, items: list[Item], *, whole: bool
) -> AsyncIterator[Page]:
    """From `at.offset` in batches: the listing of one commit is the same whenever it is asked again."""
    for offset in range(at.offset, max(len(items), 1), BATCH):
        end = offset + BATCH
        last = end >= len(items)
        done = Position(branch=at.branch, head=at.target)
        after = done if last else msgspec.structs.replace(at, offset=end)
        yield Page(
            items=tuple(items[offset:end]),
            cursor=_cursor(after),
            last=last,
            full_listing=f"tree:{at.target}" if whole else None,
            certificate=_certificate(at, items) if whole and last else None,
            resource=_changed(ctx, resource),
            estimate=len(items),
        )


def _certificate(at: Position, items: list[Item]) -> Certificate:
    pages = max(1, -(-len(items) // BATCH))
    return Certificate(
        scopes=("file:",), pages=pages, items=len(items), errors=0, chain_closed=True, change_token=at.target
    )


async def _repository(ctx: SyncContext) -> Resource:
    """Always the provider's own present view: the default branch may have changed since it was discovered."""
    known = _resource(ctx)
    async with lost_sight_of_parent():
        answer = await get(ctx.http, f"/repositories/{known.external_id}", conditional="code")
    return known if answer.not_modified else resource_of(decode(answer, Repository))


async def _head(ctx: SyncContext, resource: Resource, branch: str, *, known: bool) -> str | None:
    """The branch's commit, None when it has not moved since we held it whole, "" for an empty repository."""
    url = f"/repositories/{resource.external_id}/branches/{quote(branch, safe='')}"
    try:
        answer = await get_unless_known(ctx.http, url, reader="code", known=known)
    except ResourceGone as error:
        if await _is_empty(ctx, resource, branch):
            return ""
        raise LostSight("GitHub does not show the default branch") from error
    return None if answer.not_modified else decode(answer, Branch).commit.sha


async def _is_empty(ctx: SyncContext, resource: Resource, branch: str) -> bool:
    """An empty repository answers 409 "Git Repository is empty." for its tree (docs: "Get a tree")."""
    url = f"/repositories/{resource.external_id}/git/trees/{quote(branch, safe='')}"
    answer = await ctx.http.request("GET", url, headers=HEADERS)
    return answer.status == 409 and EMPTY in answer.body


async def _compare(ctx: SyncContext, resource: Resource, at: Position) -> list[Item] | None:
    """None when a comparison is not exact: diverged, 300 files or more, or one of the commits is gone."""
    url = f"/repositories/{resource.external_id}/compare/{at.head}...{at.target}"
    try:
        comparison = decode(await get(ctx.http, url), Comparison)
    except ResourceGone:
        return None
    if comparison.status not in {"ahead", "identical"} or len(comparison.files) >= COMPARE_LIMIT:
        return None
    return [_compared(file, at) for file in comparison.files]


def _compared(file: FileChange, at: Position) -> Item:
    if file.status == "removed":
        return Removed(key=f"file:{file.filename}", proof=f"removed between {at.head[:12]} and {at.target[:12]}")
    previous = f"file:{file.previous_filename}" if file.status == "renamed" and file.previous_filename else None
    return Listed(key=f"file:{file.filename}", type="file", revision=file.sha or "", previous_key=previous)


async def _tree(ctx: SyncContext, resource: Resource, commit: str) -> list[TreeEntry]:
    """Every blob, in path order; an empty repository has none."""
    if not commit:
        return []
    tree = await _read_tree(ctx, resource, commit, recursive=True)
    entries = tree.tree if not tree.truncated else await _walk(ctx, resource, commit)
    return sorted((entry for entry in entries if _is_file(entry)), key=lambda entry: entry.path)


async def _walk(ctx: SyncContext, resource: Resource, commit: str) -> list[TreeEntry]:
    """Tree by tree, for a repository above the 100,000 entries or 7 MB that one recursive answer holds."""
    found: list[TreeEntry] = []
    waiting = [("", commit)]
    while waiting:
        prefix, sha = waiting.pop()
        for entry in (await _read_tree(ctx, resource, sha, recursive=False)).tree:
            placed = msgspec.structs.replace(entry, path=f"{prefix}{entry.path}")
            if entry.type == "tree":
                waiting.append((f"{placed.path}/", entry.sha))
            found.append(placed)
    return found


async def _read_tree(ctx: SyncContext, resource: Resource, sha: str, *, recursive: bool) -> Tree:
    url = f"/repositories/{resource.external_id}/git/trees/{sha}"
    async with lost_sight_of_parent():
        tree = decode(await get(ctx.http, url, params={"recursive": "1"} if recursive else None), Tree)
    if tree.truncated and not recursive:
        raise ProviderContractBroken("GitHub cut off a tree that was asked for without its children")
    return tree


def _is_file(entry: TreeEntry) -> bool:
    """Submodules (160000) are other repositories and symlinks (120000) are names of other files."""
    return entry.type == "blob" and entry.mode != "120000"


def _listed(entry: TreeEntry) -> Listed:
    return Listed(key=f"file:{entry.path}", type="file", revision=entry.sha, facts={"size": entry.size})


async def fetch(ctx: SyncContext, listed: Sequence[Listed]) -> list[Observed | Gone | Quarantined]:
    return [await _fetch_file(ctx, one) for one in listed]


async def _fetch_file(ctx: SyncContext, listed: Listed) -> Observed | Gone | Quarantined:
    """By blob id: immutable, so what is read is what was listed."""
    path = listed.key.removeprefix("file:")
    size = int(listed.facts.get("size", 0))
    if size > MAX_FILE_BYTES:
        return _file(ctx, listed, path, None, size, skip="too large")
    url = f"/repositories/{_resource(ctx).external_id}/git/blobs/{listed.revision}"
    try:
        blob = decode(await get(ctx.http, url), Blob)
    except ResourceGone as error:
        raise LostSight("a listed blob is not readable") from error
    content = b64decode(blob.content) if blob.encoding == "base64" else blob.content.encode()
    if len(content) > MAX_FILE_BYTES:
        return _file(ctx, listed, path, None, len(content), skip="too large")
    return _file(ctx, listed, path, content, len(content), skip=None)


def _file(ctx: SyncContext, listed: Listed, path: str, content: bytes | None, size: int, skip: str | None) -> Observed:
    text = decode_text(content) if content is not None else None
    reason = skip or (None if text is not None else "binary")
    resource = _resource(ctx)
    branch = str(resource.facts.get("default_branch", "HEAD"))
    return Observed(
        key=listed.key,
        type="file",
        name=path.rsplit("/", 1)[-1],
        path=path,
        url=f"{resource.url}/blob/{quote(branch)}/{quote(path)}",
        content=text or "",
        content_type="text/plain" if text is not None else "application/octet-stream",
        revision=listed.revision,
        previous_key=listed.previous_key,
        metadata={"size": size, "blob": listed.revision, "skipped": reason},
    )


def _changed(ctx: SyncContext, resource: Resource) -> Resource | None:
    return resource if resource != _resource(ctx) else None


def _resource(ctx: SyncContext) -> Resource:
    assert ctx.resource is not None  # noqa: S101 - a stream is always a resource's
    return ctx.resource


def _cursor(at: Position) -> Cursor:
    return dict(msgspec.to_builtins(at))
