"""Issues, pull requests and their comments: listings that grow by `since`, oldest change first.

The rules (docs: "List repository issues"; facts measured by others are cited where they are used):
- sort=updated, direction=asc and `since` with an overlap; the first listing has no `since` at all, because
  since=1970-01-01 answers an empty list.
- the resume point inside a listing is the provider's own next link; the resting cursor moves only after the last page.
- at rest the same URL is asked conditionally; a 304 is trusted only if its answer was one page: then nothing changed.
- a sweep reads the whole list in another order (`whole_lists`) and leaves `since` where it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from libs.common.errors import ProviderUnavailable
from libs.common.provider.client import HttpAnswer
from libs.common.provider.sync import Cursor, Listed, Page, PartSeen, Quarantined, SyncContext
from libs.providers.github import whole_lists
from libs.providers.github.client import get, get_unless_known, next_link, pages_left
from libs.providers.github.objects import comment_part, issue_source, parent_key
from libs.providers.github.parents import lost_sight_of_parent
from libs.providers.github.payloads import Comment, Issue
from libs.providers.github.whole_lists import Met, Scopes, Walk

PER_PAGE = 100
NOT_A_LIST = "GitHub's answer is not a whole JSON list"
OVERLAP = timedelta(minutes=5)  # answers may lag behind each other on replicas
Convert = Callable[[Any, SyncContext], Met]


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The cursor of a listing. `since` rests after a whole listing; `next`, `newest` and `items` (those of its pages so
    far) live while one is under way.

    `whole` is a sweep under way; `since` waits meanwhile.
    """

    since: datetime | None = None
    single: bool = False
    next: str | None = None
    newest: datetime | None = None
    items: int = 0
    whole: Walk | None = None


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """`shape` is what an element of the list is read as, `shapes` the whole list; `kind` names one that is not."""

    path: str
    params: dict[str, str]
    kind: Literal["issue", "comment", "review_comment"]
    shape: type[Issue | Comment]
    shapes: type[list[Any]]
    convert: Convert
    scopes: Scopes


def issues(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    """One list holds both kinds; only what is kept of it is certified."""
    prefixes = {"issues": "issue:", "prs": "pull_request:"}
    kept = tuple(prefix for feature, prefix in prefixes.items() if feature in ctx.features)
    stream = Stream(
        path="/issues", params={"state": "all"}, kind="issue", shape=Issue, shapes=list[Issue], convert=_issue,
        scopes=Scopes(kept),
    )  # fmt: skip
    return _pull(ctx, stream, cursor)


def comments(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    return _pull(ctx, _parts("/issues/comments", "comment"), cursor)


def review_comments(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    return _pull(ctx, _parts("/pulls/comments", "review_comment"), cursor)


def _parts(path: str, kind: Literal["comment", "review_comment"]) -> Stream:
    return Stream(
        path=path, params={}, kind=kind, shape=Comment, shapes=list[Comment], convert=_comment(kind),
        scopes=Scopes(parts=(f"{kind}:",)),
    )  # fmt: skip


def _pull(ctx: SyncContext, stream: Stream, cursor: Cursor | None) -> AsyncIterator[Page]:
    at = msgspec.convert(cursor or {}, Position)
    if ctx.full:
        return _whole(ctx, stream, at)
    # A sweep that was given up proves nothing any more.
    return _changed(ctx, stream, msgspec.structs.replace(at, whole=None))


async def _whole(ctx: SyncContext, stream: Stream, at: Position) -> AsyncIterator[Page]:
    walk = whole_lists.begun(ctx, at.whole)
    since = None if stream.scopes.sources else ctx.since  # a missing part is no proof: its source is read again
    while True:
        answer = await whole_lists.ask(ctx, stream.path, stream.params, walk, since=since)
        met = _met(answer, stream, ctx)
        walk = whole_lists.after(walk, answer, met)
        estimate = _estimate(walk.items, answer, whole_lists.PER_PAGE)
        last = walk.next is None
        yield Page(
            items=tuple(one.item for one in met if one.item),
            cursor=_cursor(_at_rest(at, walk) if last else Position(since=at.since, single=at.single, whole=walk)),
            last=last,
            full_listing=walk.listing,
            certificate=whole_lists.certificate(walk, stream.scopes) if last else None,
            estimate=estimate,
        )
        if last:
            return


def _at_rest(at: Position, walk: Walk) -> Position:
    """What changed behind the reader's back is newer than `since`; without one, than the listing's first request."""
    if at.since is not None or walk.newest is None:
        return Position(since=at.since, single=at.single)
    return Position(since=min(walk.newest, datetime.fromisoformat(walk.listing)) - OVERLAP)


async def _changed(ctx: SyncContext, stream: Stream, at: Position) -> AsyncIterator[Page]:
    """Pages until a listing from the newest `since` holds nothing newer than itself: what changed meanwhile is in."""
    while True:
        answer = await _ask(ctx, stream, at)
        if answer.not_modified:
            yield Page(items=(), cursor=_cursor(at), last=True)
            return
        met = _met(answer, stream, ctx)
        follow = next_link(answer)
        after = _advance(at, met, follow)
        last = follow is None and after.since == at.since
        items = tuple(one.item for one in met if one.item)
        estimate = _estimate(at.items + len(items), answer, PER_PAGE)
        yield Page(items=items, cursor=_cursor(after), last=last, estimate=estimate)
        if last:
            return
        at = after


async def _ask(ctx: SyncContext, stream: Stream, at: Position) -> HttpAnswer:
    async with lost_sight_of_parent():
        if at.next:
            return await get(ctx.http, at.next)
        assert ctx.resource is not None  # noqa: S101 - a stream is always a resource's
        query = {**stream.params, "sort": "updated", "direction": "asc", "per_page": str(PER_PAGE)}
        since = at.since or ctx.since
        if since and since.timestamp() > 0:  # 1970-01-01 answers an empty list
            query["since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        url = f"/repositories/{ctx.resource.external_id}{stream.path}"
        return await get_unless_known(ctx.http, url, reader=stream.path, known=at.single, params=query)


def _advance(at: Position, met: list[Met], follow: str | None) -> Position:
    """Where the next request starts: along the chain, or, when the chain is closed, at the moved `since`."""
    top = max((moment for moment in (at.newest, *(one.updated for one in met)) if moment), default=None)
    if follow:
        items = at.items + sum(one.item is not None for one in met)
        return Position(since=at.since, next=follow, newest=top, items=items)
    since = max((moment for moment in (at.since, top and top - OVERLAP) if moment), default=None)
    return Position(since=since, single=at.next is None)


def _estimate(so_far: int, answer: HttpAnswer, per_page: int) -> int | None:
    """Of what is kept of this listing; the pages to come count as full, and as kept."""
    left = pages_left(answer)
    return None if left is None else so_far + left * per_page


def _cursor(at: Position) -> Cursor:
    plain = msgspec.to_builtins(at)
    return dict(plain)


def _met(answer: HttpAnswer, stream: Stream, ctx: SyncContext) -> list[Met]:
    """The whole list at once; element by element where one of them does not fit, so that the others do."""
    try:
        return [stream.convert(found, ctx) for found in msgspec.json.decode(answer.body, type=stream.shapes)]
    except msgspec.ValidationError:
        return [_met_alone(raw, stream, ctx) for raw in _elements(answer)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderUnavailable(NOT_A_LIST) from error


def _elements(answer: HttpAnswer) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(answer.body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderUnavailable(NOT_A_LIST) from error


def _met_alone(raw: msgspec.Raw, stream: Stream, ctx: SyncContext) -> Met:
    try:
        found = msgspec.json.decode(raw, type=stream.shape)
    except msgspec.ValidationError as error:
        return _unfit(raw, stream.kind, error)
    return stream.convert(found, ctx)


def _issue(issue: Issue, ctx: SyncContext) -> Met:
    """The cursor moves on elements that are not wanted, too: else a page full of pull requests would stop it."""
    if issue.pull_request is None:
        item = issue_source(issue) if "issues" in ctx.features else None
        return Met(item, issue.updated_at, issue.created_at, issue.number)
    key = f"pull_request:{issue.number}"
    moment = issue.updated_at
    pull = Listed(
        key=key, type="pull_request", revision=moment.isoformat(), facts={"listed": True}, updated_at=moment
    )  # fmt: skip
    return Met(pull if "prs" in ctx.features else None, moment, issue.created_at, issue.number)


def _comment(kind: Literal["comment", "review_comment"]) -> Convert:
    def convert(comment: Comment, ctx: SyncContext) -> Met:
        key = parent_key(comment)
        wanted = "prs" if key.startswith("pull_request:") else "issues"
        item = PartSeen(parent_key=key, part=comment_part(comment, kind)) if wanted in ctx.features else None
        return Met(item, comment.updated_at, comment.created_at, comment.id)

    return convert


class _Identity(msgspec.Struct):
    number: int | None = None
    id: int | None = None


def _unfit(raw: msgspec.Raw, kind: str, error: msgspec.ValidationError) -> Met:
    try:
        found = msgspec.json.decode(raw, type=_Identity)
        number = found.number or found.id
    except msgspec.ValidationError:
        number = None
    item = Quarantined(
        key=f"{kind}:{number or 'unreadable'}", code="provider_contract_broken", detail=str(error),
        by_key=number is not None,
    )  # fmt: skip
    return Met(item, None, None, number)
