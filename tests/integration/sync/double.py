"""A provider that lives in this process: a small HTTP API with pages, ETags and faults, and the facet that reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from libs.common.errors import (
    AuthExpired,
    InvalidInput,
    LostSight,
    ProviderUnavailable,
    RateLimited,
    ResourceGone,
)
from libs.common.provider.manifest import Feature, Limits, Manifest
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Gone,
    Item,
    Listed,
    Observed,
    Page,
    Part,
    PartSeen,
    Quarantined,
    Resource,
    ResourcePage,
    SyncContext,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = Manifest(
    id="double",
    name="Double",
    description="A provider of the tests.",
    icon="/none.svg",
    status="available",
    connect=("token",),
    delivery="push",
    resource_kind="repository",
    resource_name="Repositories",
    default_resources=2,
    limits=Limits(requests_per_hour=1000),
    windowed=("items", "notes"),
    features=(
        Feature(
            id="issues", name="Issues", description="", enabled=True, streams=("items", "notes"),
            source_types=("issue",),
        ),
        Feature(
            id="prs", name="PRs", description="", enabled=False, streams=("items", "notes"),
            source_types=("pull_request",),
        ),
        Feature(id="code", name="Code", description="", enabled=True, streams=("tree",), source_types=("file",)),
    ),
)  # fmt: skip


class Answer(msgspec.Struct):
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    url: str = ""


Fault = Callable[[str], Any]  # an Answer, None, or something to await for one of them


class Repo(msgspec.Struct):
    """The truth. `items` by number, `notes` by id, `files` by path."""

    name: str
    items: dict[int, dict[str, Any]] = {}
    notes: dict[int, dict[str, Any]] = {}
    files: dict[str, str] = {}
    renames: dict[str, str] = {}
    clock: int = 0

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def put(self, number: int, *, title: str | None = None, body: str = "", kind: str = "issue") -> None:
        entry = {"number": number, "title": title or f"Item {number}", "body": body or f"Body {number}", "kind": kind}
        self.items[number] = {**entry, "updated": self.tick()}

    def note(self, note_id: int, number: int, text: str) -> None:
        self.notes[note_id] = {"id": note_id, "number": number, "text": text, "at": self.tick()}


class World:
    """Implements Outbound. `faults` see each request's path first and may answer instead."""

    def __init__(self, page_size: int = 10) -> None:
        self.repos: dict[str, Repo] = {}
        self.page_size = page_size
        self.tokens = {"token-1"}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, int]] = []

    def repo(self, external_id: str, *, items: int = 0, files: int = 0) -> Repo:
        made = self.repos[external_id] = Repo(name=f"acme/{external_id}", items={}, notes={}, files={}, renames={})
        for number in range(1, items + 1):
            made.put(number)
        for number in range(1, files + 1):
            made.files[f"src/f{number:04}.py"] = f"print({number})\n"
        return made

    def served(self, part: str) -> Counter[str]:
        """Paths with `part` in them that were answered 200."""
        return Counter(path for path, status in self.log if part in path and status == 200)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        path = url.removeprefix("https://api.double.test")
        answer = await self._fault(path) or self.answer(path, dict(headers or {}))
        self.log.append((path, answer.status))
        answer.url = url
        return answer

    async def _fault(self, path: str) -> Answer | None:
        for fault in self.faults:
            found = fault(path)
            found = await found if isinstance(found, Awaitable) else found
            if isinstance(found, Answer):
                return found
        return None

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return Answer(401)
        found = self._find(path)
        if found is None:
            return Answer(404)
        body = msgspec.json.encode(found)
        etag = f'"{sha256(body).hexdigest()[:16]}"'
        if headers.get("if-none-match") == etag:
            return Answer(304, headers={"etag": etag})
        return Answer(200, body, {"etag": etag})

    def _find(self, path: str) -> Any:
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        _, _, rest = parts.path.partition("/repos")
        if not rest:
            return [{"id": key, "name": repo.name} for key, repo in self.repos.items()]
        _, external_id, *what = rest.split("/")
        repo = self.repos.get(external_id)
        if repo is None:
            return None
        return self._in_repo(repo, what, query)

    def _in_repo(self, repo: Repo, what: list[str], query: dict[str, str]) -> Any:
        match what:
            case ["items"]:
                since = int(query["since"])
                found = sorted((e for e in repo.items.values() if e["updated"] > since), key=lambda e: e["updated"])
                return self._page(found, query)
            case ["items", number]:
                entry = repo.items.get(int(number))
                notes = [note for note in repo.notes.values() if note["number"] == int(number)]
                return None if entry is None else {**entry, "notes": notes}
            case ["notes"]:
                since = int(query["since"])
                found = sorted((e for e in repo.notes.values() if e["at"] > since), key=lambda e: e["at"])
                return self._page(found, query)
            case ["tree"]:
                rows = [
                    {"path": path, "sha": blob(text), "from": repo.renames.get(path)}
                    for path, text in sorted(repo.files.items())
                ]
                return self._page(rows, query)
            case ["files"]:
                text = repo.files.get(query["path"])
                return None if text is None else {"path": query["path"], "text": text}
        return {"name": repo.name}

    def _page(self, rows: list[Any], query: dict[str, str]) -> dict[str, Any]:
        at = int(query["page"]) * self.page_size
        return {"rows": rows[at : at + self.page_size], "more": at + self.page_size < len(rows), "total": len(rows)}


def blob(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


class DoubleFacet:
    """Implements SyncFacet over `ctx.http`, with the manners that the contract asks of a real one."""

    async def discover(self, ctx: SyncContext, cursor: Cursor | None, query: str = "") -> ResourcePage:
        found = await _get(ctx, "/repos")
        rows = [row for row in found if query in row["name"]]
        items = tuple(
            Resource(
                kind="repository", external_id=row["id"], name=row["name"], url=f"https://double.test/{row['name']}",
                last_active_at=EPOCH + timedelta(days=at),
            )
            for at, row in enumerate(rows)
        )  # fmt: skip
        return ResourcePage(items=items, next_cursor=None)

    async def find(self, ctx: SyncContext, reference: str) -> Resource:
        if " " in reference:
            raise InvalidInput("not a reference")
        page = await self.discover(ctx, None)
        for resource in page.items:
            if reference in (resource.external_id, resource.name):
                return resource
        raise ResourceGone("no such repository")

    async def pull(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        pages = self._tree(ctx, cursor) if stream == "tree" else self._since(ctx, stream, cursor)
        async for page in pages:
            yield page

    async def _since(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        """`since` stays the same while its pages are read, so that a resumed pull repeats nothing."""
        floor = max(int((ctx.since - EPOCH).total_seconds()) - 1, 0) if ctx.since else 0
        at = {"since": floor, "page": 0, "high": 0, **(cursor or {})}
        while True:
            path = f"{_root(ctx)}/{stream}?since={at['since']}&page={at['page']}"
            answer = await _ask(ctx, path, conditional=True)
            if answer.status == 304:
                yield Page(items=(), cursor=at, last=True)
                return
            found = _decoded(answer.body)
            items = tuple(_item(row) for row in found["rows"])
            times = [row.get("updated", row.get("at", 0)) for row in found["rows"]]
            high = max([at["high"], *times])
            last = not found["more"]
            at = {"since": high, "page": 0, "high": high} if last else {**at, "page": at["page"] + 1, "high": high}
            yield Page(items=items, cursor=dict(at), last=last, estimate=found["total"])
            if last:
                return

    async def _tree(self, ctx: SyncContext, cursor: Cursor | None) -> AsyncIterator[Page]:
        at = dict(cursor or {})
        if "listing" not in at:
            at = {"listing": f"tree-{at.get('round', 0)}", "page": 0, "round": at.get("round", 0) + 1, "items": 0}
        while True:
            found = _decoded((await _ask(ctx, f"{_root(ctx)}/tree?page={at['page']}")).body)
            items = tuple(
                Listed(
                    key=f"file:{row['path']}", type="file", revision=row["sha"], facts={"path": row["path"]},
                    previous_key=f"file:{row['from']}" if row["from"] else None,
                )
                for row in found["rows"]
            )  # fmt: skip
            listing, last = at["listing"], not found["more"]
            at = {**at, "page": at["page"] + 1, "items": at["items"] + len(items)}
            certificate = Certificate(
                scopes=("file:",), pages=at["page"], items=at["items"], errors=0, chain_closed=True, change_token="t"
            )
            yield Page(
                items=items, cursor={"round": at["round"]} if last else dict(at), last=last, full_listing=listing,
                certificate=certificate if last else None,
            )  # fmt: skip
            if last:
                return

    async def fetch(self, ctx: SyncContext, listed: Sequence[Listed]) -> Sequence[Observed | Gone | Quarantined]:
        return [await self._one(ctx, item.key) for item in listed]

    async def _one(self, ctx: SyncContext, key: str) -> Observed | Gone | Quarantined:
        kind, _, name = key.partition(":")
        path = f"{_root(ctx)}/files?path={name}" if kind == "file" else f"{_root(ctx)}/items/{name}"
        answer = await _ask(ctx, path, missing=True)
        if answer.status == 404:
            return Gone(key=key, proof="answered 404 while its parent is visible")
        row = _decoded(answer.body)
        if kind == "file" and not isinstance(row["text"], str):
            return Quarantined(key=key, code="contract_broken", detail="text is no text")
        if kind == "file":
            return Observed(
                key=key, type="file", name=name.rsplit("/", 1)[-1], url=f"https://double.test/{name}",
                content=row["text"], content_type="text/x-python", revision=blob(row["text"]), path=name,
            )  # fmt: skip
        found = _item(row)
        if isinstance(found, Observed):
            parts = tuple(_part(note) for note in row["notes"])
            return msgspec.structs.replace(found, parts=parts, parts_prefix="note:")
        assert isinstance(found, Quarantined)
        return found

    def key_stream(self, key: str) -> str:
        return "tree" if key.startswith("file:") else "items"


def _root(ctx: SyncContext) -> str:
    assert ctx.resource is not None
    return f"/repos/{ctx.resource.external_id}"


def _item(row: dict[str, Any]) -> Item:
    if "text" in row:
        return PartSeen(parent_key=f"item:{row['number']}", part=_part(row))
    key = f"item:{row['number']}"
    if not isinstance(row["title"], str):
        return Quarantined(key=key, code="contract_broken", detail="title is no text")
    return Observed(
        key=key, type=row["kind"], name=row["title"], url=f"https://double.test/items/{row['number']}",
        content=row["body"], content_type="text/markdown", revision=str(row["updated"]), author="ada",
        metadata={"number": row["number"]}, updated_at=EPOCH + timedelta(seconds=row["updated"]),
    )  # fmt: skip


def _part(row: dict[str, Any]) -> Part:
    at = EPOCH + timedelta(seconds=row["id"])
    return Part(key=f"note:{row['id']}", author="bob", created_at=at, body=row["text"])


async def _get(ctx: SyncContext, path: str) -> Any:
    return _decoded((await _ask(ctx, path)).body)


async def _ask(ctx: SyncContext, path: str, *, conditional: bool = False, missing: bool = False) -> Any:
    answer = await ctx.http.request("GET", path, conditional="pull" if conditional else "")
    if answer.status in (200, 304) or (missing and answer.status == 404):
        return answer
    if answer.status == 401:
        raise AuthExpired("the token was refused")
    if answer.status in (403, 404):
        raise LostSight(f"the parent answered {answer.status}")
    if answer.status == 429:
        raise RateLimited("limited", until=datetime.now(UTC) + timedelta(seconds=float(answer.headers["retry-after"])))
    raise ProviderUnavailable(f"answered {answer.status}")


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ProviderUnavailable("the answer is not whole") from error
