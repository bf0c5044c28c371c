"""The copy itself: read by hash, written in bulk. The hot path goes through the driver (unnest, no ORM in between)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.source import SourceType
from libs.common.provider.sync import Held, Observed
from services.sync.domain.content import storable, storable_json
from services.sync.domain.plan import Known, Move

EPOCH_MS = "(extract(epoch from clock_timestamp()) * 1000)::bigint"


class Write(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One source row to write. `bump` gives it a new version and makes it pending again.

    Thousands live at once and none is part of a cycle: the collector need not walk them.
    """

    id: str
    key: str
    observed: Observed
    content: str
    body: str | None
    content_hash: str
    seen_hash: bytes
    bump: bool


class Rewrite(msgspec.Struct, frozen=True, kw_only=True):
    """New content of a source whose parts changed while the object itself was not observed."""

    id: str
    content: str
    body: str | None
    content_hash: str


class Live(msgspec.Struct, frozen=True):
    id: str
    key: str
    resource_id: str
    provider: str


class Aside(msgspec.Struct, frozen=True):
    id: str
    key: str


class Tombstoned(msgspec.Struct, frozen=True):
    id: str
    key: str
    type: SourceType
    version: int
    url: str
    path: str | None


# All that a page has to know, in one look. An array of keys is read by the index, whatever the planner believes of a
# table; joined with unnest, a page once read its whole resource.
STANDING = """
SELECT external_key, CASE WHEN tombstone THEN ''::bytea ELSE seen_hash END
FROM source WHERE resource_id = $1 AND external_key = ANY($2::text[])
UNION ALL SELECT key, NULL FROM quarantined_item WHERE resource_id = $1 AND key = ANY($2::text[])
UNION ALL SELECT NULL, NULL WHERE EXISTS (SELECT FROM source_part WHERE resource_id = $1)
UNION ALL SELECT NULL, ''::bytea WHERE EXISTS (
  SELECT FROM held_deletion WHERE resource_id = $1 AND state = 'held')
"""


class Standing(msgspec.Struct, frozen=True):
    """`hashes` of the stored rows by key, empty for a tombstone; `parts` says whether the resource has any, `held`
    whether deletions of it wait for somebody's word."""

    hashes: dict[str, bytes]
    quarantined: frozenset[str] = frozenset()
    parts: bool = False
    held: bool = False


async def standing(tx: Transaction, resource_id: str, keys: Collection[str]) -> Standing:
    """Without any key it still tells of the parts: a page of comments has none."""
    rows = await (await tx.driver()).fetch(STANDING, resource_id, list(keys))
    hashes: dict[str | None, bytes] = {row[0]: row[1] for row in rows if row[1] is not None}
    held = hashes.pop(None, None) is not None
    others = [row[0] for row in rows if row[1] is None]
    quarantined = frozenset(key for key in others if key is not None)
    return Standing(cast("dict[str, bytes]", hashes), quarantined, None in others, held)


KNOWN = """
SELECT id, external_key, type, name, path, url, content_hash, seen_hash, version, tombstone,
       provider_updated_at, seen_at
FROM source WHERE resource_id = $1 AND external_key = ANY($2::text[])
"""


async def known(tx: Transaction, resource_id: str, keys: Sequence[str]) -> dict[str, Known]:
    rows = await (await tx.driver()).fetch(KNOWN, resource_id, list(keys)) if keys else []
    return {row[1]: Known(*row) for row in rows}


async def revisions(tx: Transaction, resource_id: str, keys: Sequence[str]) -> dict[str, str]:
    """Of live sources only: a tombstoned one must be fetched again."""
    rows = await (await tx.driver()).fetch(
        "SELECT external_key, revision FROM source"
        " WHERE resource_id = $1 AND external_key = ANY($2::text[]) AND NOT tombstone",
        resource_id,
        list(keys),
    )
    return {row[0]: row[1] for row in rows}


async def held(tx: Transaction, resource_id: str, prefix: str, keys: Collection[str] | None = None) -> dict[str, Held]:
    """Live sources by key: of these `keys`, or all that begin with `prefix`."""
    rows = await (await tx.driver()).fetch(
        "SELECT external_key, revision, metadata::text FROM source WHERE resource_id = $1 AND NOT tombstone"
        " AND starts_with(external_key, $2) AND ($3::text[] IS NULL OR external_key = ANY($3::text[]))",
        resource_id,
        prefix,
        None if keys is None else list(keys),
    )
    return {row[0]: Held(row[1], msgspec.json.decode(row[2])) for row in rows}


async def move(tx: Transaction, resource_id: str, moves: Sequence[Move]) -> None:
    """One statement, so that keys may be swapped."""
    driver = await tx.driver()
    ids, old, new = [one.id for one in moves], [one.old_key for one in moves], [one.key for one in moves]
    await driver.execute(
        "UPDATE source s SET external_key = m.key FROM unnest($1::text[], $2::text[]) AS m(id, key) WHERE s.id = m.id",
        ids,
        new,
    )
    await driver.execute(
        "UPDATE source_part p SET source_key = m.key FROM unnest($2::text[], $3::text[]) AS m(old, key)"
        " WHERE p.resource_id = $1 AND p.source_key = m.old",
        resource_id,
        old,
        new,
    )


async def step_aside(tx: Transaction, rows: Sequence[Aside]) -> None:
    """Frees the keys of tombstones that a rename needs."""
    if rows:
        await (await tx.driver()).execute(
            "UPDATE source s SET external_key = u.key FROM unnest($1::text[], $2::text[]) AS u(id, key)"
            " WHERE s.id = u.id",
            [one.id for one in rows],
            [one.key for one in rows],
        )


# The small columns are one document and the texts are arrays: of each element of an array the driver asks twice whether
# it is a container, which was half of what a page cost it, and a text of 7 KB is not escaped and read again.
WRITTEN = """
FROM ROWS FROM (
  json_to_recordset($1::json) AS (id text, key text, type text, name text, path text, url text, content_type text,
    content_hash text, seen_hash text, revision text, metadata jsonb, author text, updated_at timestamptz,
    bump boolean),
  unnest($2::text[], $3::text[]))
  AS u(id, key, type, name, path, url, content_type, content_hash, seen_hash, revision, metadata, author, updated_at,
       bump, content, body)
"""

INSERT = f"""
INSERT INTO source (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, path, url,
  content, body, content_type, content_hash, seen_hash, revision, metadata, author, provider_updated_at, version)
SELECT u.id, $4, $5, $6, $7, u.key, u.type, u.name, u.path, u.url, u.content, u.body, u.content_type, u.content_hash,
  decode(u.seen_hash, 'base64'), u.revision, u.metadata, u.author, u.updated_at, {EPOCH_MS}
{WRITTEN}
RETURNING id, version
"""

UPDATE = f"""
UPDATE source s SET type = u.type, name = u.name, path = u.path, url = u.url, content = u.content, body = u.body,
  content_type = u.content_type, content_hash = u.content_hash, seen_hash = decode(u.seen_hash, 'base64'),
  revision = u.revision, metadata = u.metadata, author = u.author, provider_updated_at = u.updated_at, seen_at = now(),
  version = CASE WHEN u.bump THEN greatest(s.version + 1, {EPOCH_MS}) ELSE s.version END,
  status = CASE WHEN u.bump THEN 'pending' ELSE s.status END,
  status_detail = CASE WHEN u.bump THEN NULL ELSE s.status_detail END,
  updated_at = CASE WHEN u.bump THEN now() ELSE s.updated_at END,
  tombstone = false, proof = NULL
{WRITTEN}
WHERE s.id = u.id RETURNING s.id, s.version
"""


class _Columns(msgspec.Struct, frozen=True, gc=False):
    """`seen_hash` is told as base64."""

    id: str
    key: str
    type: SourceType
    name: str
    path: str | None
    url: str
    content_type: str
    content_hash: str
    seen_hash: bytes
    revision: str
    metadata: msgspec.Raw
    author: str
    updated_at: datetime | None
    bump: bool


async def insert(
    tx: Transaction, writes: Sequence[Write], *, integration_id: str, resource_id: str, provider: str
) -> dict[str, int]:
    """Answers the version of each id."""
    if not writes:
        return {}
    driver = await tx.driver()
    rows = await driver.fetch(INSERT, *_written(writes), tx.workspace, integration_id, resource_id, provider)
    return {row[0]: row[1] for row in rows}


async def update(tx: Transaction, writes: Sequence[Write]) -> dict[str, int]:
    if not writes:
        return {}
    rows = await (await tx.driver()).fetch(UPDATE, *_written(writes))
    return {row[0]: row[1] for row in rows}


def _written(writes: Sequence[Write]) -> tuple[str, list[str], list[str | None]]:
    columns = msgspec.json.encode([_columns(one, one.observed) for one in writes])
    return columns.decode(), [one.content for one in writes], [one.body for one in writes]


def _columns(write: Write, item: Observed) -> _Columns:
    return _Columns(
        write.id, write.key, item.type, storable(item.name), None if item.path is None else storable(item.path),
        storable(item.url), item.content_type, write.content_hash, write.seen_hash, item.revision,
        msgspec.Raw(storable_json(item.metadata)), storable(item.author), item.updated_at, write.bump,
    )  # fmt: skip


REWRITE = f"""
UPDATE source s SET content = u.content, body = u.body, content_hash = u.content_hash, status = 'pending',
  status_detail = NULL, updated_at = now(), seen_at = now(), version = greatest(s.version + 1, {EPOCH_MS})
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u(id, content, body, content_hash)
WHERE s.id = u.id AND s.content_hash <> u.content_hash
RETURNING s.id, s.version, s.type, s.url, s.content_hash
"""


async def rewrite(tx: Transaction, rows: Sequence[Rewrite]) -> Sequence[Any]:
    """Rows of (id, version, type, url, content_hash) that really changed."""
    if not rows:
        return []
    columns = zip(*((one.id, one.content, one.body, one.content_hash) for one in rows), strict=True)
    found: Sequence[Any] = await (await tx.driver()).fetch(REWRITE, *(list(column) for column in columns))
    return found


async def bodies(tx: Transaction, resource_id: str, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Live sources by key: (id, the content without its parts)."""
    rows = await (await tx.driver()).fetch(
        "SELECT external_key, id, coalesce(body, content) FROM source"
        " WHERE resource_id = $1 AND external_key = ANY($2::text[]) AND NOT tombstone",
        resource_id,
        list(keys),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


TOMBSTONE = f"""
UPDATE source s SET tombstone = true, status = 'deleted', status_detail = NULL, proof = u.proof, content = '',
  body = NULL, content_hash = '', revision = '', external_key = u.key, seen_at = now(), updated_at = now(),
  version = greatest(s.version + 1, {EPOCH_MS})
FROM unnest($1::text[], $2::text[], $3::text[]) AS u(id, key, proof)
WHERE s.id = u.id AND NOT s.tombstone
RETURNING s.id, s.external_key, s.type, s.version, s.url, s.path
"""


async def tombstone(tx: Transaction, rows: Sequence[tuple[str, str, str]]) -> list[Tombstoned]:
    """`rows` are (id, key to keep, proof); its parts and its own changed files go with it, what pushes told stays."""
    if not rows:
        return []
    driver = await tx.driver()
    found = await driver.fetch(TOMBSTONE, *(list(column) for column in zip(*rows, strict=True)))
    gone = [Tombstoned(*row) for row in found]
    own = "DELETE FROM changed_file WHERE source_id = ANY($1::text[]) AND push_id IS NULL"
    await driver.execute(own, [one.id for one in gone])
    await driver.execute(
        "DELETE FROM source_part p USING source s, unnest($1::text[]) AS u(id)"
        " WHERE s.id = u.id AND p.resource_id = s.resource_id AND p.source_key = s.external_key",
        [one.id for one in gone],
    )
    return gone


async def some_live(
    tx: Transaction, *, integration_id: str, resource_id: str, types: Sequence[str] | None, most: int
) -> list[Live]:
    """The next sources that a cleanup has to tombstone."""
    rows = await tx.fetch_all(
        "SELECT id, external_key, resource_id, provider FROM source"
        " WHERE integration_id = :integration_id AND NOT tombstone"
        " AND (:resource_id = '' OR resource_id = :resource_id)"
        " AND (CAST(:types AS text[]) IS NULL OR type = ANY(CAST(:types AS text[]))) ORDER BY id LIMIT :most",
        integration_id=integration_id,
        resource_id=resource_id,
        types=types,
        most=most,
    )
    return [Live(row["id"], row["external_key"], row["resource_id"], row["provider"]) for row in rows]
