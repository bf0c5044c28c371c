"""A source's own part of the summary tree: written with its chunks, kept where its input stayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.database.transaction import Row, Transaction
from libs.common.internal import SourceItem
from services.chunker.domain.summaries import place_of
from services.chunker.repository.summaries import wanted
from services.chunker.summarising import Node, Written
from services.chunker.summarising.tree import node_id

# A text that was made of the same input stays, also one that was made better since it was read.
SAVE = """
INSERT INTO summary AS s (workspace_id, id, level, tree, parent_id, height, place, integration_id, resource_id,
  source_id, title, anchor, text, method, note, input_hash, hash, chunk_ids, children, stale)
VALUES (:workspace_id, :id, :level, :tree, :parent_id, :height, :place, :integration_id, :resource_id, :source_id,
  :title, :anchor, :text, :method, :note, :input_hash, :hash, CAST(:chunk_ids AS text[]), :children, :stale)
ON CONFLICT (id, workspace_id) DO UPDATE SET tree = excluded.tree, height = excluded.height, place = excluded.place,
  parent_id = CASE WHEN s.level <> 'source' THEN excluded.parent_id
    WHEN s.tree = excluded.tree AND s.place = excluded.place THEN s.parent_id END,
  resource_id = excluded.resource_id, title = excluded.title, anchor = excluded.anchor,
  chunk_ids = excluded.chunk_ids, children = excluded.children, input_hash = excluded.input_hash,
  text = CASE WHEN s.input_hash = excluded.input_hash THEN s.text ELSE excluded.text END,
  method = CASE WHEN s.input_hash = excluded.input_hash THEN s.method ELSE excluded.method END,
  note = CASE WHEN s.input_hash = excluded.input_hash THEN s.note ELSE excluded.note END,
  hash = CASE WHEN s.input_hash = excluded.input_hash THEN s.hash ELSE excluded.hash END,
  stale = CASE WHEN s.input_hash = excluded.input_hash THEN s.stale ELSE excluded.stale END,
  made_at = CASE WHEN s.input_hash = excluded.input_hash THEN s.made_at ELSE now() END
"""
KEPT = """
SELECT id, level, tree, parent_id, height, place, title, anchor, text, method, note, input_hash, hash, chunk_ids,
  children FROM summary WHERE id = :source OR tree = :source
"""
KNOWN = """
SELECT one.id AS source_id, s.input_hash, s.text, s.method, s.note FROM unnest(CAST(:ids AS text[])) AS one(id)
CROSS JOIN LATERAL (
  SELECT * FROM summary WHERE id = 'source:' || one.id UNION ALL SELECT * FROM summary WHERE tree = 'source:' || one.id
) s
"""
DROP = "DELETE FROM summary WHERE id = ANY(CAST(:ids AS text[]))"
COMPARED = ("level", "height", "title", "anchor", "input_hash", "children")


async def known(tx: Transaction, source_ids: Sequence[str]) -> dict[str, dict[str, Written]]:
    """Of each source by the hash of the input: what need not be made again."""
    found: dict[str, dict[str, Written]] = {source_id: {} for source_id in source_ids}
    for row in await tx.fetch_all(KNOWN, ids=list(source_ids)):
        found[row["source_id"]][row["input_hash"]] = Written(row["text"], row["method"], row["note"])
    return found


async def swap(tx: Transaction, item: SourceItem, workspace: str, nodes: Sequence[Node], *, better: bool) -> None:
    """Only what changed is written. `better`: new texts are to be made again by an endpoint."""
    source = node_id("source", item.id)
    old = {row["id"]: row for row in await tx.fetch_all(KEPT, source=source)}
    rows = [_row(item, workspace, node, better) for node in nodes]
    changed = [row for row in rows if row["id"] not in old or _differs(old[row["id"]], row)]
    await _note(tx, workspace, old.get(source), rows[0] if rows else None)
    if better and any(row["stale"] for row in changed):
        await wanted.want(tx, workspace, source)
    await tx.execute(DROP, ids=sorted(set(old) - {row["id"] for row in rows}))
    await tx.execute_many(SAVE, changed)


async def drop(tx: Transaction, workspace: str, source_id: str) -> None:
    source = node_id("source", source_id)
    old = await tx.fetch_all(KEPT, source=source)
    await _note(tx, workspace, next((row for row in old if row["id"] == source), None), None)
    await tx.execute(DROP, ids=[row["id"] for row in old])


async def _note(tx: Transaction, workspace: str, old: Row | None, new: dict[str, Any] | None) -> None:
    """Tells the tree above, if it would read something else than before."""
    moved = old is not None and (new is None or (old["tree"], old["place"]) != (new["tree"], new["place"]))
    if old is not None and moved:
        await wanted.note(tx, workspace, old["tree"], old["id"], old["parent_id"])
    if new is not None and (old is None or moved or old["hash"] != new["hash"]):
        await wanted.note(tx, workspace, new["tree"], new["id"], None)


def _differs(old: Row, new: dict[str, Any]) -> bool:
    if new["level"] == "source":
        same = (old["tree"], old["place"]) == (new["tree"], new["place"])
    else:
        same = (old["parent_id"], old["place"]) == (new["parent_id"], new["place"])
    return not same or old["chunk_ids"] != new["chunk_ids"] or any(old[name] != new[name] for name in COMPARED)


def _row(item: SourceItem, workspace: str, node: Node, better: bool) -> dict[str, Any]:
    top = node.level == "source"
    return {
        "workspace_id": workspace,
        "id": node.id,
        "level": node.level,
        "tree": node_id("resource", item.resource_id) if top else node_id("source", item.id),
        "parent_id": node.parent_id,
        "height": 0 if top else node.height,
        "place": place_of(item.path, item.name, item.id) if top else node.place,
        "integration_id": item.integration_id,
        "resource_id": item.resource_id,
        "source_id": item.id,
        "title": node.title,
        "anchor": node.anchor,
        "text": node.written.text,
        "method": node.written.method,
        "note": node.written.note,
        "input_hash": node.input_hash,
        "hash": node.hash,
        "chunk_ids": list(node.chunk_ids),
        "children": node.children,
        "stale": better and node.written.method == "extractive",
    }
