"""Issues, pull requests and their comments: listings that grow by `since`, oldest change first.

The rules (docs: "List repository issues"; facts measured by others are cited where they are used):
- sort=updated, direction=asc and `since` with an overlap; the first listing has no `since` at all, because
  since=1970-01-01 answers an empty list.
- the resume point inside a listing is the provider's own next link; the resting cursor moves only after the last page.
- at rest the same URL is asked conditionally; a 304 is trusted only if its answer was one page: then nothing changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from libs.common.errors import ProviderUnavailable
from libs.common.provider.client import HttpAnswer
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Item,
    Listed,
    Page,
    PartSeen,
    Quarantined,
    SyncContext,
)
from libs.providers.github.client import get, get_unless_known, next_link
from libs.providers.github.objects import comment_part, issue_source, parent_key
from libs.providers.github.parents import lost_sight_of_parent
from libs.providers.github.payloads import Comment, Issue

OVERLAP = timedelta(minutes=5)  # answers may lag behind each other on replicas
Convert = Callable[[msgspec.Raw, SyncContext], tuple[Item | None, datetime | None]]


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The cursor of a listing. `since` rests after a whole listing; `next` and `newest` live while one is under way."""

    since: datetime | None = None
    single: bool = False
    next: str | None = None
    newest: datetime | None = None
    listing: str | None = None
    pages: int = 0
    items: int = 0
    errors: int = 0


def issues(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    return _pull(ctx, "/issues", {"state": "all"}, _issue, cursor, scopes=_scopes(ctx))


def comments(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    return _pull(ctx, "/issues/comments", {}, _comment("comment"), cursor)


def review_comments(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    return _pull(ctx, "/pulls/comments", {}, _comment("review_comment"), cursor)


def _scopes(ctx: SyncContext) -> tuple[str, ...]:
    """One list holds both kinds; only what is kept of it is certified."""
    prefixes = {"issues": "issue:", "prs": "pull_request:"}
    return tuple(prefix for feature, prefix in prefixes.items() if feature in ctx.features)


async def _pull(
    ctx: SyncContext,
    path: str,
    params: dict[str, str],
    convert: Convert,
    cursor: Cursor | None,
    scopes: tuple[str, ...] = (),
) -> AsyncIterator[Page]:
    """Pages until a listing from the newest `since` holds nothing newer than itself: what changed meanwhile is in."""
    at = msgspec.convert(cursor or {}, Position)
    if ctx.full and scopes and not at.listing:
        at = Position(listing=ctx.clock.now().isoformat())
    while True:
        answer = await _ask(ctx, path, params, at)
        if answer.not_modified:
            yield Page(items=(), cursor=_cursor(at), last=True)
            return
        items, newest = _items(answer, convert, ctx)
        follow = next_link(answer)
        after = _advance(at, items, newest, follow)
        last = follow is None and (after.since == at.since or at.listing is not None)
        yield _page(at, after, items, last=last, scopes=scopes)
        if last:
            return
        at = after


async def _ask(ctx: SyncContext, path: str, params: dict[str, str], at: Position) -> HttpAnswer:
    async with lost_sight_of_parent():
        if at.next:
            return await get(ctx.http, at.next)
        assert ctx.resource is not None  # noqa: S101 - a stream is always a resource's
        query = {**params, "sort": "updated", "direction": "asc", "per_page": "100"}
        since = at.since or (None if at.listing else ctx.since)
        if since:
            query["since"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        url = f"/repositories/{ctx.resource.external_id}{path}"
        return await get_unless_known(ctx.http, url, reader=path, known=at.single, params=query)


def _advance(at: Position, items: list[Item], newest: datetime | None, follow: str | None) -> Position:
    """Where the next request starts: along the chain, or, when the chain is closed, at the moved `since`."""
    top = max((moment for moment in (at.newest, newest) if moment), default=None)
    errors = at.errors + sum(isinstance(item, Quarantined) for item in items)
    if follow:
        return msgspec.structs.replace(
            at, next=follow, newest=top, pages=at.pages + 1, items=at.items + len(items), errors=errors, single=False
        )
    since = max((moment for moment in (at.since, top and top - OVERLAP) if moment), default=None)
    return Position(since=since, single=at.next is None)


def _page(at: Position, after: Position, items: list[Item], *, last: bool, scopes: tuple[str, ...]) -> Page:
    certificate = None
    if at.listing and last and scopes:
        errors = at.errors + sum(isinstance(item, Quarantined) for item in items)
        certificate = Certificate(
            scopes=scopes,
            pages=at.pages + 1,
            items=at.items + len(items),
            errors=errors,
            chain_closed=True,
            change_token=at.listing,
        )
    return Page(items=tuple(items), cursor=_cursor(after), last=last, full_listing=at.listing, certificate=certificate)


def _cursor(at: Position) -> Cursor:
    plain = msgspec.to_builtins(at)
    return dict(plain)


def _items(answer: HttpAnswer, convert: Convert, ctx: SyncContext) -> tuple[list[Item], datetime | None]:
    try:
        raws = msgspec.json.decode(answer.body, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise ProviderUnavailable("GitHub's answer is not a whole JSON list") from error
    converted = [convert(raw, ctx) for raw in raws]
    moments = [moment for _, moment in converted if moment]
    return [item for item, _ in converted if item], max(moments, default=None)


def _issue(raw: msgspec.Raw, ctx: SyncContext) -> tuple[Item | None, datetime | None]:
    """The cursor moves on elements that are not wanted, too: else a page full of pull requests would stop it."""
    try:
        issue = msgspec.json.decode(raw, type=Issue)
    except msgspec.ValidationError as error:
        return _unfit(raw, "issue", error), None
    if issue.pull_request is None:
        return (issue_source(issue) if "issues" in ctx.features else None), issue.updated_at
    if "prs" not in ctx.features:
        return None, issue.updated_at
    facts = {"listed": True}
    key = f"pull_request:{issue.number}"
    return Listed(key=key, type="pull_request", revision=issue.updated_at.isoformat(), facts=facts), issue.updated_at


def _comment(kind: Literal["comment", "review_comment"]) -> Convert:
    def convert(raw: msgspec.Raw, ctx: SyncContext) -> tuple[Item | None, datetime | None]:
        try:
            comment = msgspec.json.decode(raw, type=Comment)
        except msgspec.ValidationError as error:
            return _unfit(raw, kind, error), None
        key = parent_key(comment)
        wanted = "prs" if key.startswith("pull_request:") else "issues"
        item = PartSeen(parent_key=key, part=comment_part(comment, kind)) if wanted in ctx.features else None
        return item, comment.updated_at

    return convert


class _Identity(msgspec.Struct):
    number: int | None = None
    id: int | None = None


def _unfit(raw: msgspec.Raw, kind: str, error: msgspec.ValidationError) -> Quarantined:
    try:
        found = msgspec.json.decode(raw, type=_Identity)
        number = found.number or found.id
    except msgspec.ValidationError:
        number = None
    return Quarantined(key=f"{kind}:{number or 'unreadable'}", code="provider_contract_broken", detail=str(error))
