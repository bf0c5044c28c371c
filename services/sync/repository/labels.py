"""What a provider renames: the label of a resource, and the addresses of what was read below it."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction
from libs.common.ids import new_id
from libs.common.provider.sync import Resource
from services.sync.domain.content import storable, storable_json
from services.sync.repository.resources import Stored

EPOCH_MS = "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)"

RELABEL = f"""
UPDATE resource r SET name = :name, url = :url, facts = CAST(:facts AS jsonb),
  version = CASE WHEN (r.name, r.url) = (:name, :url) THEN r.version ELSE greatest(r.version + 1, {EPOCH_MS}) END
WHERE r.id = :id AND (r.name, r.url, r.facts) IS DISTINCT FROM (:name, :url, CAST(:facts AS jsonb))
RETURNING old.name AS old_name, old.url AS old_url, new.name, new.url, new.version
"""

# Of two renames in a row each moves what stands below its own old address to where the resource is now, in any order.
# What was written since the rename carries the new label already, unless it was read at the old address before.
READDRESS = f"""
UPDATE source s SET version = greatest(s.version + 1, {EPOCH_MS}), status = 'pending', status_detail = NULL,
  updated_at = now(),
  url = CASE WHEN s.url = c.old_url OR starts_with(s.url, c.old_url || '/')
             THEN r.url || substr(s.url, length(c.old_url) + 1) ELSE s.url END
FROM cleanup c JOIN resource r ON r.id = c.resource_id
WHERE c.id = :id AND s.resource_id = :resource AND s.external_key > c.done_key AND s.external_key <= :upto
  AND NOT s.tombstone
  AND (s.updated_at < c.asked_at OR s.url = c.old_url OR starts_with(s.url, c.old_url || '/'))
RETURNING s.id, s.type, s.version, s.url, s.content_hash, s.provider, c.cause
"""
UPTO = """
SELECT max(external_key) FROM (
  SELECT external_key FROM source WHERE resource_id = :resource AND NOT tombstone
    AND external_key > (SELECT done_key FROM cleanup WHERE id = :id)
  ORDER BY external_key LIMIT :most) AS next
"""
WANT = """
INSERT INTO cleanup (id, workspace_id, kind, integration_id, resource_id, old_url, cause)
VALUES (:id, :workspace, 'readdress', :integration, :resource, :old_url, :cause)
"""


async def relabel(tx: Transaction, resource_id: str, resource: Resource) -> Row | None:
    """The old and the new label with the version of the new one; None when nothing of it is different."""
    return await tx.fetch_one(
        RELABEL,
        id=resource_id,
        name=storable(resource.name),
        url=storable(resource.url),
        facts=storable_json(resource.facts),
    )


async def want_readdressed(tx: Transaction, resource: Stored, *, old_url: str, cause: str) -> None:
    """Every live source gets a new version: its readers keep the resource's name beside it."""
    await tx.execute(
        WANT, id=f"readdress:{new_id()}", workspace=tx.workspace, integration=resource.integration_id,
        resource=resource.id, old_url=old_url, cause=cause,
    )  # fmt: skip


async def readdress_some(tx: Transaction, wanted: str, resource_id: str, most: int) -> Sequence[Row] | None:
    """The next batch in order of key; None when no source is left. The caller holds the row lock of the resource."""
    upto = await tx.fetch_value(UPTO, id=wanted, resource=resource_id, most=most)
    if upto is None:
        return None
    rows = await tx.fetch_all(READDRESS, id=wanted, resource=resource_id, upto=upto)
    await tx.execute("UPDATE cleanup SET done_key = :upto WHERE id = :id", upto=upto, id=wanted)
    return rows
