"""What a provider renames: the label of a resource, and the addresses of what was read below it."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction
from libs.common.provider.sync import Resource
from services.sync.domain.content import storable, storable_json

EPOCH_MS = "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)"

RELABEL = f"""
UPDATE resource r SET name = :name, url = :url, facts = CAST(:facts AS jsonb),
  version = CASE WHEN (r.name, r.url) = (:name, :url) THEN r.version ELSE greatest(r.version + 1, {EPOCH_MS}) END
WHERE r.id = :id AND (r.name, r.url, r.facts) IS DISTINCT FROM (:name, :url, CAST(:facts AS jsonb))
RETURNING old.name AS old_name, old.url AS old_url, new.name, new.url, new.version
"""

READDRESS = f"""
UPDATE source s SET version = greatest(s.version + 1, {EPOCH_MS}), status = 'pending', status_detail = NULL,
  updated_at = now(),
  url = CASE WHEN s.url = l.old OR starts_with(s.url, l.old || '/') THEN l.new || substr(s.url, length(l.old) + 1)
             ELSE s.url END
FROM (SELECT CAST(:old AS text) AS old, CAST(:new AS text) AS new) AS l
WHERE s.resource_id = :id AND NOT s.tombstone
RETURNING s.id, s.type, s.version, s.url, s.content_hash
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


async def readdress(tx: Transaction, resource_id: str, *, old: str, new: str) -> Sequence[Row]:
    """Every live source gets a new version: its readers keep the resource's name beside it."""
    return await tx.fetch_all(READDRESS, id=resource_id, old=old, new=new)
