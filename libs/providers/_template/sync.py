"""What Template gives to sync: collections to choose from, their documents page by page, and one document again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from libs.common.errors import LostSight, ProviderContractBroken, ResourceGone
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Gone,
    Listed,
    Observed,
    Page,
    Quarantined,
    Resource,
    ResourcePage,
    SyncContext,
    SyncFacet,
    resumed,
)
from libs.providers._template.client import decode, get
from libs.providers._template.payloads import Collection, CollectionList, Document, DocumentList, Named

STREAM = "documents"
PREFIX = "document:"


class Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`revision` is what we hold whole. While a listing is under way: its target, the next page, and counts so far."""

    revision: str = ""
    target: str = ""
    after: str = ""
    pages: int = 0
    items: int = 0
    errors: int = 0


class Following(msgspec.Struct, frozen=True):
    """The collection behind which the picker goes on."""

    after: str


class TemplateSync:
    async def discover(self, ctx: SyncContext, cursor: Cursor | None, query: str = "") -> ResourcePage:
        """In Template's own order."""
        following = resumed(cursor, Following)
        answer = await get(ctx.http, "/collections", params={"after": following.after} if following else None)
        found = decode(answer.body, CollectionList)
        items = tuple(_resource(one) for one in found.items if query.lower() in one.name.lower())
        return ResourcePage(items=items, next_cursor={"after": found.after} if found.after else None)

    async def find(self, ctx: SyncContext, reference: str) -> Resource:
        """By id, or by the last part of its address."""
        name = reference.rstrip("/").rpartition("/")[2]
        return _resource(decode((await get(ctx.http, f"/collections/{name}")).body, Collection))

    def pull(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        return {STREAM: _documents}[stream](ctx, cursor)

    async def fetch(self, ctx: SyncContext, listed: Sequence[Listed]) -> Sequence[Observed | Gone | Quarantined]:
        return [await _fetch(ctx, one.key) for one in listed]

    def key_stream(self, key: str) -> str:
        return {PREFIX: STREAM}[key[: len(PREFIX)]]


async def _documents(ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Nothing when the collection's revision is the one we hold; else everything, from where it was left."""
    at = msgspec.convert(cursor or {}, Position)
    if not at.target:
        collection = await _collection(ctx, known=bool(at.revision) and not ctx.full)
        if collection is None or (collection.revision == at.revision and not ctx.full):
            yield Page(items=(), cursor=_cursor(at), last=True)
            return
        # Taken before the first page: what changes while we list is found by the next revision.
        at = Position(revision=at.revision, target=collection.revision)
    while True:
        page, at = await _page(ctx, at)
        yield page
        if page.last:
            return


async def _page(ctx: SyncContext, at: Position) -> tuple[Page, Position]:
    answer = await get(ctx.http, f"{_root(ctx)}/documents", params={"after": at.after} if at.after else None)
    found = decode(answer.body, DocumentList)
    items = tuple(_item(raw) for raw in found.items)
    now = Position(
        revision=at.revision, target=at.target, after=found.after or "", pages=at.pages + 1,
        items=at.items + len(items), errors=at.errors + sum(isinstance(one, Quarantined) for one in items),
    )  # fmt: skip
    last = found.after is None
    page = Page(
        items=items, cursor=_cursor(Position(revision=at.target) if last else now), last=last,
        full_listing=f"{STREAM}:{at.target}", certificate=_certificate(now) if last else None,
    )  # fmt: skip
    return page, now


def _certificate(at: Position) -> Certificate:
    return Certificate(
        scopes=(PREFIX,), pages=at.pages, items=at.items, errors=at.errors, chain_closed=True, change_token=at.target
    )


async def _collection(ctx: SyncContext, *, known: bool) -> Collection | None:
    """None when it has not changed since we held it whole. Not to see the parent is never a deletion."""
    try:
        answer = await get(ctx.http, _root(ctx), conditional=STREAM if known else "")
    except ResourceGone as error:
        raise LostSight("Template does not show this collection") from error
    return None if answer.not_modified else decode(answer.body, Collection)


async def _fetch(ctx: SyncContext, key: str) -> Observed | Gone | Quarantined:
    try:
        answer = await get(ctx.http, f"{_root(ctx)}/documents/{key.removeprefix(PREFIX)}")
    except ResourceGone as error:
        await _collection(ctx, known=False)  # absent only while its collection is visible
        return Gone(key=key, proof=error.detail)
    item = _item(msgspec.Raw(answer.body))
    return item if isinstance(item, Observed) else Quarantined(key=key, code=item.code, detail=item.detail)


def _item(raw: msgspec.Raw) -> Observed | Quarantined:
    """One odd document is set aside by its id; one without an id breaks the page, for nobody could name it."""
    named = decode(raw, Named)
    try:
        return _observed(decode(raw, Document))
    except ProviderContractBroken as error:
        return Quarantined(key=PREFIX + named.id, code=error.code, detail=error.detail)


def _observed(document: Document) -> Observed:
    return Observed(
        key=PREFIX + document.id, type="document", name=document.title, url=document.url, content=document.text,
        content_type="text/markdown", revision=document.updated_at.isoformat(), author=document.author,
        updated_at=document.updated_at,
    )  # fmt: skip


def _resource(collection: Collection) -> Resource:
    return Resource(kind="collection", external_id=collection.id, name=collection.name, url=collection.url)


def _root(ctx: SyncContext) -> str:
    assert ctx.resource is not None  # noqa: S101 - documents are always a collection's
    return f"/collections/{ctx.resource.external_id}"


def _cursor(at: Position) -> Cursor:
    found: Cursor = msgspec.to_builtins(at)
    return found


FACET: SyncFacet = TemplateSync()
