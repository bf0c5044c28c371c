"""Everything that is known of one object of one integration: rows, read and never judged here."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction
from libs.common.outbox.told import told_of
from services.sync.domain.explain import Known

MOST_RESOURCES = 50
MOST_TOLD = 3

INTEGRATION = """
SELECT id, workspace_id, provider, name, status, features, disconnected, version, known_since FROM known_integration
WHERE id = :id
"""
RESOURCES = f"""
SELECT id, external_id, name, kind, selected, version, state, error_code, error, error_count, last_polled_at,
  last_complete_at, since, created_at FROM resource
WHERE integration_id = :integration
  AND (CAST(:named AS text) IS NULL OR CAST(:named AS text) IN (id, external_id, name))
ORDER BY selected DESC, id LIMIT {MOST_RESOURCES}
"""
SOURCE = """
SELECT id, integration_id, resource_id, external_key, type, name, path, url, revision, content_hash, version, status,
  status_detail, tombstone, proof, provider_updated_at, seen_at, created_at, updated_at, octet_length(content) AS bytes
FROM source
"""
STREAM = """
SELECT stream, listing, started_ticket, finished_ticket, last_page_at FROM resource_stream
WHERE resource_id = :resource AND stream = :stream
"""
QUARANTINE = """
SELECT key, stream, code, detail, attempts, first_seen_at, last_seen_at FROM quarantined_item
WHERE resource_id = :resource AND key = :key
"""
# `leased`: somebody is at it just now.
DIRTY = """
SELECT wanted, attempts, run_at, paused, lease_until > now() AS leased FROM dirty_object
WHERE resource_id = :resource AND key = :key
"""
WORK = """
SELECT kind, cause, streams, attempts, run_at, paused, parked_until, lease_until > now() AS leased, run_id FROM work
WHERE resource_id = :resource
"""

HELD = """
SELECT h.id, h.sweep_id, h.reason, h.count, h.of, h.created_at
FROM held_source s JOIN held_deletion h ON h.id = s.held_id
WHERE s.resource_id = :resource AND s.key = :key AND h.state = 'held' ORDER BY h.id DESC LIMIT 1
"""
BURIED = "SELECT sweep_id, held_id, buried_at, expires_at FROM buried_source WHERE source_id = :source"
SWEEP = """
SELECT id, state, cause, items, errors, started_at, finished_at FROM sweep
WHERE resource_id = :resource AND stream = :stream ORDER BY id DESC LIMIT 1
"""

LOOK = """
SELECT p.next_poll_at, p.next_sweep_at, p.reason, w.fresh_as_of
FROM resource_watch w LEFT JOIN poll_schedule p ON p.integration_id = w.integration_id AND p.resource_id = w.resource_id
WHERE w.resource_id = :resource
"""


async def integration(tx: Transaction, integration_id: str) -> Row | None:
    return await tx.fetch_one(INTEGRATION, id=integration_id)


async def resources(tx: Transaction, integration_id: str, named: str | None) -> Sequence[Row]:
    """Selected ones first; `named` by our id, by the provider's, or by its name."""
    return await tx.fetch_all(RESOURCES, integration=integration_id, named=named)


async def source(tx: Transaction, source_id: str) -> Row | None:
    return await tx.fetch_one(f"{SOURCE} WHERE id = :id", id=source_id)


async def mentions(tx: Transaction, resource_ids: Sequence[str], key: str) -> set[str]:
    """Which of these resources have anything under this key."""
    sql = " UNION ".join(
        f"SELECT resource_id FROM {table} WHERE resource_id = ANY(:ids) AND {column} = :key"
        for table, column in (("source", "external_key"), ("quarantined_item", "key"), ("dirty_object", "key"))
    )
    return {row["resource_id"] for row in await tx.fetch_all(sql, ids=list(resource_ids), key=key)}


async def everything(
    tx: Transaction, integration_row: Row, resource: Row | None, source_row: Row | None, *, key: str, stream: str | None
) -> Known:
    """`source_row` None: looked up by resource and key."""
    if resource is None:
        told = await told_of(tx, source_row["id"], limit=MOST_TOLD) if source_row else ()
        return Known(integration=integration_row, resource=None, source=source_row, told=told)
    at = {"resource": resource["id"]}
    found = source_row or await tx.fetch_one(
        f"{SOURCE} WHERE resource_id = :resource AND external_key = :key", key=key, **at
    )
    return Known(
        integration=integration_row,
        resource=resource,
        source=found,
        stream=await tx.fetch_one(STREAM, stream=stream, **at) if stream else None,
        quarantine=await tx.fetch_one(QUARANTINE, key=key, **at),
        dirty=await tx.fetch_one(DIRTY, key=key, **at),
        work=await tx.fetch_one(WORK, **at),
        look=await tx.fetch_one(LOOK, **at),
        held=await tx.fetch_one(HELD, key=key, **at),
        buried=await tx.fetch_one(BURIED, source=found["id"]) if found else None,
        sweep=await tx.fetch_one(SWEEP, stream=stream, **at) if stream else None,
        told=await told_of(tx, found["id"], limit=MOST_TOLD) if found else (),
    )
