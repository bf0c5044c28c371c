"""The sync facet: what can be synced, page by page with a resume point, and one object again.

A resource (repository, project, channel, folder, site) is pulled stream by stream. Each page carries the cursor
to resume after it, so the cursor is saved in the transaction of the rows it covers. The rules a facet keeps:
take the change token before the listing; follow the provider's own next links; never answer an error with an
empty list; never move the cursor past a failed page; an item that does not fit becomes `Quarantined`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from libs.common.clock import Clock
from libs.common.events.source import SourceType
from libs.common.http.wire import InvalidCursor
from libs.common.provider.client import ProviderHttp

Cursor = dict[str, Any]  # opaque to the engine; JSON
T = TypeVar("T")


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """`external_id` is the provider's stable id; name and url are labels. `facts` are the facet's own (JSON).

    `dormant`: offered, but never chosen by itself.
    """

    kind: str
    external_id: str
    name: str
    url: str
    facts: dict[str, Any] = {}
    last_active_at: datetime | None = None
    dormant: bool = False


class ResourcePage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[Resource, ...]
    next_cursor: Cursor | None


FileStatus = Literal["added", "modified", "removed", "renamed", "copied", "changed"]


class ChangedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a pull request or a push. Counts are None where the provider did not count; `patch` only when small.

    `blob_id` is what stands there now, `previous_blob_id` what stood there: None when nothing did, or nobody knows.
    """

    path: str
    status: FileStatus
    previous_path: str | None = None
    additions: int | None = None
    deletions: int | None = None
    blob_id: str | None = None
    previous_blob_id: str | None = None
    patch: str | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A comment, review or reply: stored apart, rendered below its source in order of `created_at`."""

    key: str
    author: str
    created_at: datetime
    body: str
    url: str = ""
    label: str = "commented"


class Observed(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="observed"):
    """A whole object as it is now. `key` is stable in the resource: `issue:12`, `file:src/a.py`.

    `revision` is whatever tells that the object changed (etag, sha, updated_at). `parts` None = not read this time;
    a tuple = all parts whose keys start with `parts_prefix`. `previous_key` tells a proven rename: the id is kept.
    """

    key: str
    type: SourceType
    name: str
    url: str
    content: str
    content_type: str
    revision: str
    path: str | None = None
    previous_key: str | None = None
    metadata: dict[str, Any] = {}
    parts: tuple[Part, ...] | None = None
    parts_prefix: str = ""
    author: str = ""
    changed_files: tuple[ChangedFile, ...] | None = None
    updated_at: datetime | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="listed"):
    """Seen in a listing: fetched only when `revision` is not the stored one. `facts` go back into `fetch`."""

    key: str
    type: SourceType
    revision: str
    previous_key: str | None = None
    facts: dict[str, Any] = {}
    updated_at: datetime | None = None


class PartSeen(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="part"):
    """A part met in a listing of its own; its source may come later."""

    parent_key: str
    part: Part


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="removed"):
    """Gone, and `proof` says how we know (a diff between two trees, a tombstone of the provider)."""

    key: str
    proof: str


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="quarantined"):
    """An item that does not fit the provider's contract: kept as a row, retried by key; the page goes on.

    `by_key` False: nothing names it, so only a whole listing of its stream can read it again.
    """

    key: str
    code: str
    detail: str
    by_key: bool = True


class Pushed(msgspec.Struct, frozen=True, kw_only=True, tag_field="item", tag="pushed"):
    """What is followed moved from one whole state (`before`) to another: every path as `git diff --raw` tells it.

    A path is `renamed` only where one blob moved, so that similarity never decides. It comes once, in the first page of
    the move, told from whole states; `key` is stable while that page is not committed. The first backfill is no move.
    """

    key: str
    branch: str
    before: str
    after: str
    forced: bool
    files: tuple[ChangedFile, ...]


Item = Observed | Listed | PartSeen | Removed | Quarantined | Pushed


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of a whole listing: only a complete one lets the engine tombstone what it did not see.

    `scopes` are the key prefixes it covers (`file:`, `issue:`), `part_scopes` those of parts (`comment:`);
    `change_token` was taken before the first page. `snapshot` False: its pages were cut out of a set that moved
    meanwhile, so what it did not show is asked for by key, and goes only when the provider proves it gone.
    """

    scopes: tuple[str, ...]
    pages: int
    items: int
    errors: int
    chain_closed: bool
    change_token: str
    part_scopes: tuple[str, ...] = ()
    snapshot: bool = True

    @property
    def complete(self) -> bool:
        return self.errors == 0 and self.chain_closed


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`cursor` resumes after this page. `full_listing` names a listing whose items are marked as seen
    until its `certificate` arrives with the last page. `resource` when labels or facts of it changed."""

    items: tuple[Item, ...]
    cursor: Cursor
    last: bool
    full_listing: str | None = None
    certificate: Certificate | None = None
    resource: Resource | None = None
    estimate: int | None = None


class Held(NamedTuple):
    """What the engine holds of a live object."""

    revision: str
    metadata: Mapping[str, Any]


class HeldReader(Protocol):
    async def __call__(self, prefix: str, keys: Collection[str] | None = None) -> Mapping[str, Held]:
        """Live objects of this resource by key: those that begin with `prefix`, or of these `keys` alone."""
        ...


async def nothing_held(prefix: str, keys: Collection[str] | None = None) -> Mapping[str, Held]:
    return {}


class SyncContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a facet may use. `since` bounds the backfill of the manifest's windowed streams, never a full listing: what
    is older is listed there, with its `updated_at`, and not taken. `full` asks for a whole listing with a
    certificate (a sweep).

    `hinted`: a hint named this stream and no other, so nothing else of the resource need be asked for its news.
    `held` reads the copy as it is committed now: what was seen before needs no request.
    """

    http: ProviderHttp
    clock: Clock
    config: Mapping[str, Any]
    features: tuple[str, ...]
    resource: Resource | None = None
    since: datetime | None = None
    full: bool = False
    hinted: bool = False
    held: HeldReader = nothing_held


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """`fetch` asked for it and the provider proves it absent, while its parent is visible."""

    key: str
    proof: str


def resumed(cursor: Cursor | None, kind: type[T]) -> T | None:
    """The place in a list of resources that a cursor of `discover` names. It went through a caller's hands: raises
    InvalidCursor for anything that is not a `kind`.
    """
    try:
        return None if cursor is None else msgspec.convert(cursor, kind)
    except msgspec.ValidationError:
        raise InvalidCursor(pointer="/cursor") from None


class SyncFacet(Protocol):
    async def discover(self, ctx: SyncContext, cursor: Cursor | None, query: str = "") -> ResourcePage:
        """What this grant could sync, most recently active first; searchable by `query`.

        A page may be empty while `next_cursor` says that there is more: a search asks a bounded number of times a call.
        """
        ...

    async def find(self, ctx: SyncContext, reference: str) -> Resource:
        """A resource named by the user (`owner/name`, a URL, an id). Raises InvalidInput, ResourceGone or LostSight."""
        ...

    def pull(self, ctx: SyncContext, stream: str, cursor: Cursor | None) -> AsyncIterator[Page]:
        """Pages of one stream from `cursor` (None = from the start) until one says `last`.

        The engine asks for a page while it commits the one before, so `held` may not show that one's rows yet.
        """
        ...

    async def fetch(self, ctx: SyncContext, listed: Sequence[Listed]) -> Sequence[Observed | Gone | Quarantined]:
        """The objects whole, one answer per asked key in the same order."""
        ...

    def key_stream(self, key: str) -> str:
        """Which stream a key belongs to, so that a hint marks the right cursor."""
        ...
