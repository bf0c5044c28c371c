"""The summary tree as people walk it: a node, its children in order, all of one level, and the chunks below."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction

SHOWN = """
SELECT id, level, title, anchor, text, method, note, hash, chunk_ids, children, made_at, place, source_id,
  stale OR note <> '' OR EXISTS (SELECT FROM summary_change c WHERE c.tree = s.id) AS stale
FROM summary s WHERE {which}
"""
NODE = SHOWN.format(which="id = :id")
CHILDREN = (
    SHOWN.format(which="parent_id = :id AND (place, id) > (:after_place, :after_id)")
    + "ORDER BY place, id LIMIT :limit"
)
# Whatever the level asked for, its nodes know what they are of.
SCOPES = {
    "source": "source_id = :key AND (tree = :id OR id = :id)",
    "resource": "resource_id = :key AND integration_id = (SELECT integration_id FROM summary WHERE id = :id)",
    "integration": "integration_id = :key",
    "workspace": "true",
}
OF_LEVEL = "level = :level AND id > :after_id AND {scope}"
# The sources of a page in order, each with at least one chunk behind the place where the page before it ended: what is
# read is a page's worth, however large the tree below the node is.
CHUNKS = """
SELECT k.source_id, k.id AS chunk_id, k.ordinal, k.start_byte, k.end_byte
FROM (
  SELECT s.id, s.source_id FROM summary s
  WHERE s.level = 'source' AND {scope} AND s.id >= 'source:' || CAST(:source_id AS text) AND EXISTS (
    SELECT FROM chunk k WHERE k.source_id = s.source_id AND (k.source_id <> :source_id OR k.ordinal > :ordinal))
  ORDER BY s.id LIMIT :limit
) one CROSS JOIN LATERAL (
  SELECT k.source_id, k.id, k.ordinal, k.start_byte, k.end_byte FROM chunk k
  WHERE k.source_id = one.source_id AND (k.source_id <> :source_id OR k.ordinal > :ordinal)
  ORDER BY k.ordinal LIMIT :limit
) k
ORDER BY one.id, k.ordinal LIMIT :limit
"""
# Groups of groups down to the sources, none of which is looked into.
IN_GROUP = """
s.id IN (
  WITH RECURSIVE below AS (
    SELECT id, level FROM summary WHERE id = :id
    UNION ALL
    SELECT n.id, n.level FROM summary n JOIN below b ON n.parent_id = b.id WHERE b.level = 'group'
  ) SELECT id FROM below WHERE level = 'source')
"""
CHUNKS_OF = {
    "source": "s.id = :id",
    "group": IN_GROUP,
    "resource": "s.resource_id = :key",
    "integration": "s.integration_id = :key",
    "workspace": "s.workspace_id = :key",
}
# Within one source: a section, or a part of one.
CHUNKS_WITHIN = """
WITH RECURSIVE below AS (
  SELECT id, source_id, chunk_ids FROM summary WHERE id = :id
  UNION ALL
  SELECT s.id, s.source_id, s.chunk_ids FROM summary s JOIN below b ON s.parent_id = b.id
)
SELECT b.source_id, k.id AS chunk_id, k.ordinal, k.start_byte, k.end_byte
FROM below b CROSS JOIN LATERAL unnest(b.chunk_ids) AS own(id)
JOIN chunk k ON k.source_id = b.source_id AND k.id = own.id
WHERE k.ordinal > :ordinal ORDER BY k.ordinal LIMIT :limit
"""


async def node(tx: Transaction, node_id: str) -> Row | None:
    return await tx.fetch_one(NODE, id=node_id)


async def children(tx: Transaction, node_id: str, after: tuple[str, str], limit: int) -> Sequence[Row]:
    """`after` is the place and the id of the last one seen."""
    return await tx.fetch_all(CHILDREN, id=node_id, after_place=after[0], after_id=after[1], limit=limit)


async def of_level(tx: Transaction, top: str, level: str, after: str, limit: int) -> Sequence[Row]:
    """The nodes of one level below `top` (a source, a resource, an integration, the workspace), by id."""
    kind, _, key = top.partition(":")
    sql = SHOWN.format(which=OF_LEVEL.format(scope=SCOPES[kind])) + "ORDER BY id LIMIT :limit"
    given = {"id": top, "key": key} if kind in ("source", "resource") else {"key": key} if kind == "integration" else {}
    return await tx.fetch_all(sql, level=level, after_id=after, limit=limit, **given)


async def chunks(tx: Transaction, node_id: str, after: tuple[str, int], limit: int) -> Sequence[Row]:
    """Every chunk that the words of a node come from, however far below; `after` is a source and an ordinal."""
    kind, _, key = node_id.partition(":")
    if kind not in CHUNKS_OF:
        return await tx.fetch_all(CHUNKS_WITHIN, id=node_id, ordinal=after[1], limit=limit)
    of = {"id": node_id} if ":id" in CHUNKS_OF[kind] else {"key": key}
    sql = CHUNKS.format(scope=CHUNKS_OF[kind])
    return await tx.fetch_all(sql, **of, source_id=after[0], ordinal=after[1], limit=limit)
