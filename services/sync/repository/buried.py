"""What a listing deleted, kept whole for a while beside its tombstone, so that it can come back as it was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.source import SourceType
from services.sync.repository.sources import EPOCH_MS
from services.sync.repository.sweeps import Listing

BURY = """
INSERT INTO buried_source AS b (source_id, workspace_id, integration_id, resource_id, sweep_id, held_id, source, parts,
  changed_files, expires_at)
SELECT s.id, s.workspace_id, s.integration_id, s.resource_id, $2, $3, to_jsonb(s),
  coalesce((SELECT jsonb_agg(to_jsonb(p)) FROM source_part p
    WHERE p.resource_id = s.resource_id AND p.source_key = s.external_key), '[]'),
  coalesce((SELECT jsonb_agg(to_jsonb(c)) FROM changed_file c WHERE c.source_id = s.id AND c.push_id IS NULL), '[]'),
  now() + $4 * interval '1 day'
FROM source s WHERE s.id = ANY($1::text[]) AND NOT s.tombstone
ON CONFLICT (source_id) DO UPDATE SET sweep_id = excluded.sweep_id, held_id = excluded.held_id,
  source = excluded.source, parts = excluded.parts, changed_files = excluded.changed_files,
  buried_at = excluded.buried_at, expires_at = excluded.expires_at
"""


async def bury(tx: Transaction, sweep_id: str, ids: Sequence[str], *, days: float, held_id: str | None = None) -> int:
    """Before the tombstones: they empty the rows."""
    if not ids:
        return 0
    told: str = await (await tx.driver()).execute(BURY, list(ids), sweep_id, held_id, days)
    return int(told.rsplit(" ", 1)[-1])


async def live_ids(tx: Transaction, listing: Listing, keys: Sequence[str]) -> list[str]:
    rows = await (await tx.driver()).fetch(
        "SELECT id FROM source WHERE resource_id = $1 AND external_key = ANY($2::text[]) AND NOT tombstone",
        listing.resource_id,
        list(keys),
    )
    return [row[0] for row in rows]


# Only what is still a tombstone, under its own key: an object that was seen again has news of its own.
RESTORABLE = """
SELECT b.source_id FROM buried_source b JOIN source s ON s.id = b.source_id
WHERE b.expires_at > now() AND s.tombstone AND s.external_key = b.source->>'external_key'
  AND (b.held_id = $1 OR ($1 IS NULL AND b.sweep_id = $2)) AND (b.source->>'type' = ANY($3::text[])) = $4
ORDER BY b.source_id LIMIT $5
"""


class Buried(msgspec.Struct, frozen=True, kw_only=True):
    """What one listing, or one decision, deleted."""

    sweep_id: str | None = None
    held_id: str | None = None


async def restorable(
    tx: Transaction, of: Buried, types: Collection[SourceType], *, most: int, others: bool = False
) -> list[str]:
    """Of these types, or of all `others`."""
    driver = await tx.driver()
    rows = await driver.fetch(RESTORABLE, of.held_id, of.sweep_id, sorted(types), not others, most)
    return [row[0] for row in rows]


RESTORE = f"""
UPDATE source s SET type = o.type, name = o.name, path = o.path, url = o.url, content = o.content, body = o.body,
  content_type = o.content_type, content_hash = o.content_hash, seen_hash = o.seen_hash, revision = o.revision,
  metadata = o.metadata, author = o.author, provider_updated_at = o.provider_updated_at, tombstone = false,
  proof = NULL, status = 'pending', status_detail = NULL, seen_at = now(), updated_at = now(),
  version = greatest(s.version + 1, {EPOCH_MS})
FROM buried_source b, jsonb_populate_record(NULL::source, b.source) AS o
WHERE b.source_id = ANY($1::text[]) AND s.id = b.source_id AND s.tombstone
RETURNING s.id, s.type, s.version, s.content_hash, s.url, s.resource_id, s.integration_id, s.provider
"""
PARTS = """
INSERT INTO source_part SELECT p.* FROM buried_source b, jsonb_populate_recordset(NULL::source_part, b.parts) AS p
WHERE b.source_id = ANY($1::text[]) AND NOT EXISTS (SELECT FROM source_part k
  WHERE k.resource_id = p.resource_id AND k.source_key = p.source_key AND k.part_key = p.part_key)
"""
FILES = """
INSERT INTO changed_file SELECT c.* FROM buried_source b,
  jsonb_populate_recordset(NULL::changed_file, b.changed_files) AS c WHERE b.source_id = ANY($1::text[])
"""


class Back(NamedTuple):
    id: str
    type: SourceType
    version: int
    content_hash: str
    url: str
    resource_id: str
    integration_id: str
    provider: str


async def restore(tx: Transaction, ids: Sequence[str]) -> list[Back]:
    """The same ids and content, new versions."""
    driver = await tx.driver()
    back = [Back(*row) for row in await driver.fetch(RESTORE, list(ids))]
    found = [one.id for one in back]
    for statement in (PARTS, FILES, "DELETE FROM buried_source WHERE source_id = ANY($1::text[])"):
        await driver.execute(statement, found)
    return back


async def forget_expired(tx: Transaction) -> None:
    """Of the whole workspace: buried sources and captured pages whose time is over."""
    for table in ("buried_source", "captured_page"):
        await tx.execute(
            f"DELETE FROM {table} WHERE workspace_id = :workspace AND expires_at <= now()", workspace=tx.workspace
        )
