"""The levels above a source: items under groups of bounded width, and what of them is to be made anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from libs.common.database.transaction import Row, Transaction
from libs.common.ids import new_id
from services.chunker.domain.summaries import ABOVE, Below, Item, Stale, WantedTree, split
from services.chunker.repository.summaries import wanted as wishes
from services.chunker.summarising import Written
from services.chunker.summarising.tree import WIDEST, node_id

CHANGES = """
SELECT item_id, parent_id FROM summary_change WHERE tree = :tree
ORDER BY item_id LIMIT :limit FOR UPDATE SKIP LOCKED
"""
FORGET_CHANGES = "DELETE FROM summary_change WHERE tree = :tree AND item_id = ANY(CAST(:ids AS text[]))"
ITEMS = """
SELECT id, tree, parent_id, place, hash FROM summary
WHERE id = ANY(CAST(:ids AS text[])) AND tree = :tree AND height = 0
"""
# Items stand in the order of their places; each leaf group begins at its own.
PLACE = """
UPDATE summary s SET parent_id = coalesce(
  (SELECT g.id FROM summary g WHERE g.tree = s.tree AND g.height = 1 AND g.place <= s.place
   ORDER BY g.place DESC LIMIT 1),
  (SELECT g.id FROM summary g WHERE g.tree = s.tree AND g.height = 1 ORDER BY g.place LIMIT 1), s.tree)
WHERE s.id = ANY(CAST(:ids AS text[])) AND s.parent_id IS NULL
RETURNING s.parent_id
"""
OVERFULL = """
SELECT p.id, p.parent_id, p.integration_id, p.resource_id FROM summary p
WHERE p.id = ANY(CAST(:ids AS text[])) AND (SELECT count(*) FROM summary c WHERE c.parent_id = p.id) > :widest
"""
CHILDREN = "SELECT id, height, place, title, text, hash FROM summary WHERE parent_id = :id ORDER BY place, id"
NEW_NODE = """
INSERT INTO summary (workspace_id, id, level, tree, parent_id, height, place, integration_id, resource_id, title,
  text, method, input_hash, hash, stale)
VALUES (:workspace_id, :id, :level, :tree, :parent_id, :height, :place, :integration_id, :resource_id, :title,
  '', 'extractive', '', '', true)
ON CONFLICT (id, workspace_id) DO NOTHING
"""
ADOPT = "UPDATE summary SET parent_id = :parent_id WHERE id = ANY(CAST(:ids AS text[]))"
MARK = "UPDATE summary SET stale = true WHERE id = ANY(CAST(:ids AS text[])) AND height > 0"
MARK_UNPAID = """
UPDATE summary SET stale = true WHERE note <> '' AND (tree = :tree AND height > 0 OR id = :tree)
"""
MARK_TOP = "UPDATE summary SET stale = true WHERE id = :id"
STALE = """
SELECT id, level, tree, parent_id, title, text, method, note, input_hash, hash, chunk_ids, source_id, integration_id
FROM summary WHERE {which} AND stale {order}
"""
STALE_BELOW = STALE.format(
    which="tree = :tree AND height = (SELECT min(height) FROM summary WHERE tree = :tree AND height > 0 AND stale)",
    order="ORDER BY place, id LIMIT :limit",
)
STALE_TOP = STALE.format(which="id = :tree", order="")
# What was read may have changed since: then it is read again.
WRITE = """
UPDATE summary SET title = :title, text = :text, method = :method, note = :note, input_hash = :input_hash,
  hash = :hash, children = :children, stale = :stale,
  made_at = CASE WHEN input_hash = :input_hash AND text = :text AND method = :method THEN made_at ELSE now() END
WHERE id = :id AND hash = :seen AND input_hash = :seen_input
"""
DROP = "DELETE FROM summary WHERE id = :id"
CHUNK_TEXTS = """
SELECT k.text FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS given(id, at)
JOIN chunk k ON k.source_id = :source_id AND k.id = given.id ORDER BY given.at
"""
RESOURCE = """
SELECT i.resource_name AS title, i.integration_id FROM indexed_source i
WHERE i.id = (SELECT source_id FROM summary WHERE tree = :tree AND height = 0 LIMIT 1)
"""
INTEGRATION = """
SELECT provider AS title, integration_id FROM indexed_source WHERE integration_id = :integration_id LIMIT 1
"""
DROP_ABOVE = """
DELETE FROM summary WHERE integration_id = :integration_id AND level IN ('group', 'resource')
"""


async def changes(tx: Transaction, tree: str, limit: int) -> dict[str, str | None]:
    """Item → the node that it left, if it did."""
    rows = await tx.fetch_all(CHANGES, tree=tree, limit=limit)
    return {row["item_id"]: row["parent_id"] for row in rows}


async def forget_changes(tx: Transaction, tree: str, ids: Collection[str]) -> None:
    await tx.execute(FORGET_CHANGES, tree=tree, ids=list(ids))


async def items(tx: Transaction, tree: str, ids: Collection[str]) -> list[Item]:
    return [Item(**row) for row in await tx.fetch_all(ITEMS, tree=tree, ids=list(ids))]


async def place(tx: Transaction, wanted: WantedTree, new: Sequence[Item]) -> set[str]:
    """Hangs each item under the group it belongs to; groups that got too wide are split. Answers who got some."""
    if not new:
        return set()
    await _plant_top(tx, wanted)
    rows = await tx.fetch_all(PLACE, ids=[item.id for item in new])
    touched = {row["parent_id"] for row in rows}
    check = set(touched)
    while check:
        split_up = [
            await _split(tx, wanted, row) for row in await tx.fetch_all(OVERFULL, ids=sorted(check), widest=WIDEST)
        ]
        check = {parent for parent in split_up if parent}
        touched |= check
    return touched


async def mark_stale(tx: Transaction, tree: str, ids: Collection[str]) -> None:
    await tx.execute(MARK, ids=sorted(ids))
    if tree in ids:
        await tx.execute(MARK_TOP, id=tree)


async def mark_unpaid(tx: Transaction, tree: str) -> None:
    """What was extracted only because an endpoint could not be asked is asked again."""
    await tx.execute(MARK_UNPAID, tree=tree)


async def stale(tx: Transaction, tree: str, limit: int) -> list[Stale]:
    """Of the lowest level that holds any; the top comes last and alone."""
    rows = await tx.fetch_all(STALE_BELOW, tree=tree, limit=limit) or await tx.fetch_all(STALE_TOP, tree=tree)
    return [Stale(**{**row, "chunk_ids": tuple(row["chunk_ids"])}) for row in rows]


async def below(tx: Transaction, node: Stale) -> tuple[list[Below], Sequence[Row]]:
    """What a node is made from: its own chunks, then the nodes below it; and the rows of those."""
    texts = await tx.fetch_all(CHUNK_TEXTS, ids=list(node.chunk_ids), source_id=node.source_id)
    rows = await tx.fetch_all(CHILDREN, id=node.id)
    chunks = [Below(title="", text=row["text"], hash="") for row in texts]
    return [*chunks, *(Below(title=row["title"], text=row["text"], hash=row["hash"]) for row in rows)], rows


async def title_of(tx: Transaction, tree: str) -> str:
    found = await _described(tx, tree)
    return str(found["title"]) if found else ""


async def write(tx: Transaction, node: Stale, made: Written, **values: object) -> bool:
    """False when it changed since it was read. `values`: title, input_hash, hash, children, stale."""
    words = {"text": made.text, "method": made.method, "note": made.note}
    return bool(await tx.execute(WRITE, id=node.id, seen=node.hash, seen_input=node.input_hash, **words, **values))


async def drop(tx: Transaction, node: Stale) -> None:
    await tx.execute(DROP, id=node.id)


async def lift(tx: Transaction, tree: str, group: str) -> None:
    """A lone group under the top gives its children to it."""
    rows = await tx.fetch_all(CHILDREN, id=group)
    await tx.execute(ADOPT, parent_id=tree, ids=[row["id"] for row in rows])
    await tx.execute(DROP, id=group)


async def drop_integration(tx: Transaction, workspace: str, integration_id: str) -> None:
    """What was said of its resources goes at once; the levels above are told."""
    top = node_id("integration", integration_id)
    node = await tx.fetch_one("SELECT tree, parent_id FROM summary WHERE id = :id", id=top)
    if node is not None:
        await wishes.note(tx, workspace, node["tree"], top, node["parent_id"])
    await tx.execute(DROP_ABOVE, integration_id=integration_id)
    await tx.execute(DROP, id=top)


async def _plant_top(tx: Transaction, wanted: WantedTree) -> None:
    """The node that the tree is named by, if it is not there yet; what is above hears of it with its first text."""
    if await tx.fetch_value("SELECT true FROM summary WHERE id = :id", id=wanted.tree):
        return
    level, _, key = wanted.tree.partition(":")
    found = await _described(tx, wanted.tree)
    if found is None and level != "workspace":
        return  # its last source went while we looked
    integration = str(found["integration_id"]) if found else ""
    above = {"resource": integration, "integration": wanted.workspace_id}.get(level, "")
    await tx.execute(
        NEW_NODE,
        workspace_id=wanted.workspace_id,
        id=wanted.tree,
        level=level,
        tree=node_id(ABOVE[wanted.level], above) if wanted.level in ABOVE else "",
        parent_id=None,
        height=0,
        place=key,
        integration_id=integration,
        resource_id=key if level == "resource" else "",
        title=str(found["title"]) if found else "",
    )


async def _described(tx: Transaction, tree: str) -> Row | None:
    """What the owner calls it, and the integration it belongs to."""
    level, _, key = tree.partition(":")
    if level == "resource":
        return await tx.fetch_one(RESOURCE, tree=tree)
    return await tx.fetch_one(INTEGRATION, integration_id=key) if level == "integration" else None


async def _split(tx: Transaction, wanted: WantedTree, node: Row) -> str | None:
    """Cuts a node's children into groups beside it; below the top, where there is nothing beside. Who got them."""
    rows = await tx.fetch_all(CHILDREN, id=node["id"])
    cuts = split([row["place"] for row in rows])
    is_top = node["id"] == wanted.tree
    parent = wanted.tree if is_top else node["parent_id"]
    new = []
    for first, last in list(zip(cuts, [*cuts[1:], len(rows)], strict=True))[0 if is_top else 1 :]:
        group = node_id("group", new_id())
        await tx.execute(
            NEW_NODE,
            workspace_id=wanted.workspace_id,
            id=group,
            level="group",
            tree=wanted.tree,
            parent_id=parent,
            height=rows[0]["height"] + 1,
            place=rows[first]["place"],
            integration_id=node["integration_id"],
            resource_id=node["resource_id"],
            title="",
        )
        await tx.execute(ADOPT, parent_id=group, ids=[row["id"] for row in rows[first:last]])
        new.append(group)
    await mark_stale(tx, wanted.tree, {node["id"], parent, *new})
    return str(parent)
