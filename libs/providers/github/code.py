"""The files of the default branch: by comparing two heads where that is exact, else by the whole tree.

A move of the head is told once, as `Pushed`, in its first page: both ends are whole states, so nothing of it depends on
where an owner was killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import msgspec

from libs.common.errors import LostSight, ResourceGone
from libs.common.provider.sync import (
    Certificate,
    ChangedFile,
    Cursor,
    Item,
    Listed,
    Page,
    Pushed,
    Removed,
    Resource,
    SyncContext,
)
from libs.providers.github.client import HEADERS, decode, get, get_unless_known
from libs.providers.github.files import may_be_no_file
from libs.providers.github.moves import between, compared, spots
from libs.providers.github.objects import resource_of
from libs.providers.github.parents import lost_sight_of_parent
from libs.providers.github.payloads import Branch, Comparison, Repository, TreeEntry
from libs.providers.github.trees import Before, entries_of, is_file, state_before

BATCH = 100
COMPARE_LIMIT = 300  # docs: the file list of a comparison ends there, on page one
UNREADABLE = "\ufffd"
EMPTY = b"Git Repository is empty"


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`head` is what we hold whole. While a listing is under way: its target commit, how, and how far it got.

    `moves` counts them, so that a move back and forth and back again is three.
    """

    branch: str = ""
    head: str = ""
    target: str = ""
    offset: int = 0
    by: str = ""
    moves: int = 0


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Everything between what we hold and the target; `whole` items are a complete listing of it."""

    at: Position
    items: list[Item]
    whole: bool
    pushed: Pushed | None = None


async def pull(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    resource, at = await _start(ctx, msgspec.convert(cursor or {}, Position))
    if at.target == at.head and not ctx.full:
        # Without a target: the next pull must look at the head again.
        held = Position(branch=at.branch, head=at.head, moves=at.moves)
        yield Page(items=(), cursor=_cursor(held), last=True, resource=_changed(ctx, resource))
        return
    for page in _pages(ctx, resource, await _move(ctx, resource, at)):
        yield page


async def _start(ctx: SyncContext, at: Position) -> tuple[Resource, Position]:
    """A push hint costs no look at the repository, unless its branch is not there any more: then that was renamed."""
    if ctx.hinted and at.head:
        known = _resource(ctx)
        try:
            return known, at if at.target else await _aim(ctx, known, at)
        except LostSight:
            pass
    resource = await _repository(ctx)
    return resource, at if at.target else await _aim(ctx, resource, at)


async def _aim(ctx: SyncContext, resource: Resource, at: Position) -> Position:
    """Takes the head before anything is listed."""
    branch = str(resource.facts["default_branch"])
    known = bool(at.head) and branch == at.branch and not ctx.full
    head = await _head(ctx, resource, branch, known=known)
    return Position(branch=branch, head=at.head, target=head if head is not None else at.head, moves=at.moves)


async def _move(ctx: SyncContext, resource: Resource, at: Position) -> Move:
    """By comparison where that is exact. A listing that began as a tree goes on as one."""
    moved = bool(at.head) and at.target != at.head
    comparison = await _compare(ctx, resource, at) if moved and at.by != "tree" else None
    if comparison is not None and _is_exact(comparison) and not ctx.full:
        return await _compared(ctx, comparison, msgspec.structs.replace(at, by="compare"))
    at = at if at.by == "tree" else msgspec.structs.replace(at, by="tree", offset=0)
    entries = await entries_of(ctx, resource, at.target)
    before = await state_before(ctx, resource, at.head) if moved else Before({}, told=False)
    rows = between(before.spots, spots(entries)) if moved else ()
    gone = [_removed(row, at) for row in rows if row.status == "removed"] if before.told else []
    forced = comparison is None or comparison.status != "ahead"
    pushed = _pushed(at, rows, forced=forced) if moved else None
    return Move(at=at, items=[*_listing(entries, rows), *gone], whole=True, pushed=pushed)


async def _compared(ctx: SyncContext, comparison: Comparison, at: Position) -> Move:
    paths = {path for file in comparison.files for path in (file.filename, file.previous_filename) if path}
    held = await ctx.held("file:", {f"file:{path}" for path in paths})
    rows = compared(comparison.files, {key.removeprefix("file:"): one.revision for key, one in held.items()})
    unsure = {file.filename for file in comparison.files if may_be_no_file(file)}
    items = [item for row in rows for item in _items(row, at, unsure)]
    return Move(at=at, items=items, whole=False, pushed=_pushed(at, rows, forced=False))


def _items(row: ChangedFile, at: Position, unsure: set[str]) -> list[Item]:
    if row.status == "removed":
        return [_removed(row, at)]
    previous = f"file:{row.previous_path}" if row.previous_path else None
    facts = {"commit": at.target} if row.path in unsure else {}
    return [Listed(key=f"file:{row.path}", type="file", revision=row.blob_id or "", previous_key=previous, facts=facts)]


def _removed(row: ChangedFile, at: Position) -> Removed:
    return Removed(key=f"file:{row.path}", proof=f"removed between {at.head[:12]} and {at.target[:12]}")


def _listing(entries: Sequence[TreeEntry], rows: Sequence[ChangedFile]) -> list[Item]:
    came_from = {row.path: f"file:{row.previous_path}" for row in rows if row.status == "renamed"}
    return [
        Listed(
            key=f"file:{entry.path}", type="file", revision=entry.sha, previous_key=came_from.get(entry.path),
            facts={"size": entry.size},
        )
        for entry in entries
        if is_file(entry)
    ]  # fmt: skip


def _pushed(at: Position, rows: tuple[ChangedFile, ...], *, forced: bool) -> Pushed | None:
    """None on a later page: it was told with the first."""
    if at.offset:
        return None
    key = f"{at.moves}:{at.head}..{at.target}"
    return Pushed(key=key, branch=at.branch, before=at.head, after=at.target, forced=forced, files=rows)


def _pages(ctx: SyncContext, resource: Resource, move: Move) -> list[Page]:
    """From `at.offset` in batches: the listing of one commit is the same whenever it is asked again. What GitHub has
    dropped meanwhile may have made it shorter: then it is read from its start."""
    at, items = move.at, move.items
    if at.offset >= len(items):
        at = msgspec.structs.replace(at, offset=0)
    done = Position(branch=at.branch, head=at.target, moves=at.moves + (at.head != at.target))
    pages = []
    for offset in range(at.offset, max(len(items), 1), BATCH):
        end = offset + BATCH
        last = end >= len(items)
        told = [move.pushed] if move.pushed and offset == at.offset else []
        page = Page(
            items=(*told, *items[offset:end]),
            cursor=_cursor(done if last else msgspec.structs.replace(at, offset=end)),
            last=last,
            full_listing=f"tree:{at.target}" if move.whole else None,
            certificate=_certificate(at, items) if move.whole and last else None,
            resource=_changed(ctx, resource),
            estimate=len(items),
        )
        pages.append(page)
    return pages


def _certificate(at: Position, items: list[Item]) -> Certificate:
    pages = max(1, -(-len(items) // BATCH))
    return Certificate(
        scopes=("file:",),
        pages=pages,
        items=sum(isinstance(item, Listed) for item in items),
        errors=0,
        chain_closed=True,
        change_token=at.target,
    )


async def _repository(ctx: SyncContext) -> Resource:
    """The provider's own present view: the default branch may have changed since it was discovered."""
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


async def _compare(ctx: SyncContext, resource: Resource, at: Position) -> Comparison | None:
    """None when the two have nothing in common, or one of them is gone."""
    url = f"/repositories/{resource.external_id}/compare/{at.head}...{at.target}"
    try:
        return decode(await get(ctx.http, url), Comparison)
    except ResourceGone:
        return None


def _is_exact(comparison: Comparison) -> bool:
    """It is three-dot: only when the base is an ancestor is it the difference of the two, and 300 files may be more.
    A name that is no UTF-8 is not the file's own: only a tree tells two such files apart."""
    named = all(UNREADABLE not in f"{file.filename}{file.previous_filename}" for file in comparison.files)
    return named and comparison.status in {"ahead", "identical"} and len(comparison.files) < COMPARE_LIMIT


def _changed(ctx: SyncContext, resource: Resource) -> Resource | None:
    return resource if resource != _resource(ctx) else None


def _resource(ctx: SyncContext) -> Resource:
    assert ctx.resource is not None  # noqa: S101 - a stream is always a resource's
    return ctx.resource


def _cursor(at: Position) -> Cursor:
    return dict(msgspec.to_builtins(at))
