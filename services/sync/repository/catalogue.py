"""Reading the copy: pages of sources, whole batches for the indexer; and what the indexer reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from services.sync.domain.content import storable

# What failed and could be indexed after all is ready, in whichever order the two topics are heard.
# Many rows are locked in no order: whoever writes a page meanwhile must not wait out a deadlock because of a status.
SOON = "SET LOCAL lock_timeout = '100ms'"
STATUSES = """
UPDATE source s SET status = u.status, status_detail = u.detail
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS u(id, version, status, detail)
WHERE s.id = u.id AND s.version <= u.version AND NOT s.tombstone
  AND (s.status, s.status_detail) IS DISTINCT FROM (u.status, u.detail)
  AND NOT (u.status = 'failed' AND s.status = 'ready' AND s.version = u.version)
"""


class Report(msgspec.Struct, frozen=True):
    source_id: str
    version: int
    status: str = "ready"
    detail: str | None = None


async def set_statuses(tx: Transaction, reports: Sequence[Report]) -> None:
    """At most one report a source. Older news than the row changes nothing."""
    if len(reports) > 1:
        await tx.execute(SOON)
    await (await tx.driver()).execute(
        STATUSES,
        [one.source_id for one in reports],
        [one.version for one in reports],
        [one.status for one in reports],
        [None if one.detail is None else storable(one.detail) for one in reports],
    )


async def mark_processing(tx: Transaction, ids: Sequence[str]) -> None:
    """Rows that somebody writes right now are left alone: they stay pending until the report about them comes."""
    await tx.execute(
        "UPDATE source SET status = 'processing' WHERE id IN (SELECT id FROM source WHERE id = ANY(:ids)"
        " AND status = 'pending' FOR NO KEY UPDATE SKIP LOCKED)",
        ids=list(ids),
    )


BATCH = """
SELECT s.id, s.tombstone, s.version, s.integration_id, s.resource_id, coalesce(r.name, '') AS resource_name, s.provider,
  s.type, s.name, s.path, s.url, s.content_type, s.content_hash, s.author, s.provider_updated_at, s.metadata,
  octet_length(s.content) AS bytes
FROM source s LEFT JOIN resource r ON r.id = s.resource_id WHERE s.id = ANY(:ids)
"""


async def heads(tx: Transaction, ids: Sequence[str]) -> dict[str, Row]:
    """Everything of a batch but the content, with its size."""
    return {row["id"]: row for row in await tx.fetch_all(BATCH, ids=list(ids))}


async def contents(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[int, str, str]]:
    """(version, content hash, content) by id, of one snapshot."""
    sql = "SELECT id, version, content_hash, content FROM source WHERE id = ANY(:ids)"
    rows = await tx.fetch_all(sql, ids=list(ids))
    return {row["id"]: (row["version"], row["content_hash"], row["content"]) for row in rows}


COLUMNS = """
id, workspace_id, integration_id, resource_id, provider, external_key, type, name, path, url, content_type,
content_hash, version, status, status_detail, metadata, author, provider_updated_at, created_at, updated_at
"""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    integration: str | None = None
    resource: str | None = None
    status: str | None = None


async def page(tx: Transaction, wanted: Filter, *, after: str, limit: int) -> Sequence[Row]:
    """In order of id. Tombstones only when their status is asked for."""
    named = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    return await tx.fetch_all(page_sql(named), workspace=tx.workspace, after=after, limit=limit, **named)


def page_sql(named: Iterable[str]) -> str:
    """Only what is asked for is compared: then Postgres finds the type by its index, however often it has planned."""
    columns = {"type": "type", "integration": "integration_id", "resource": "resource_id", "status": "status"}
    asked = "".join(f" AND {columns[name]} = :{name}" for name in named)
    living = "" if "status" in named else " AND NOT tombstone"
    return (
        f"SELECT {COLUMNS} FROM source WHERE workspace_id = :workspace AND id > :after{asked}{living}"
        " ORDER BY id LIMIT :limit"
    )


async def one(tx: Transaction, source_id: str) -> Row | None:
    return await tx.fetch_one(f"SELECT {COLUMNS}, content FROM source WHERE id = :id", id=source_id)
