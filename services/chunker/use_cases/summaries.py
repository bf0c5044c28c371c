"""Making the levels above anew: what changed finds its place, then each stale node is made from those below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from libs.common.testing.crashpoints import crashpoint
from services.chunker.domain.summaries import Asked, Below, Stale, WantedTree, level_of, retry_seconds, span
from services.chunker.repository.summaries import trees, wanted
from services.chunker.summarising import Written
from services.chunker.summarising.plain_text import LONGEST_TITLE, as_text
from services.chunker.summarising.tree import EXTRACTIVE, input_hash, text_hash

AT_ONCE = 200  # changes that one transaction places
NODES_AT_ONCE = 16
LEASE_S = 30.0  # renewed by every transaction; a killed summariser delays its tree by this much
ASKING_S = 300.0  # longer than one answer of an endpoint may take


class Writer(Protocol):
    """`better` writers replace what was extracted; `made` counts what they were asked."""

    @property
    def better(self) -> bool: ...
    async def write(self, asked: Asked) -> Written: ...


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    node: Stale
    title: str
    below: Sequence[Below]
    input_hash: str
    lone_group: str | None


async def rebuild(db: Database, tree: WantedTree, writer: Writer) -> int:
    """Until nothing of it is stale; answers how many nodes were made. Raises LeaseLost if another has it now."""
    await _absorb(db, tree, better=writer.better)
    made, note = 0, ""
    while nodes := await _next(db, tree):
        for node in nodes:
            written = await _make(db, tree, node, writer)
            made += written is not None
            note = (written.note if written else "") or note
        crashpoint("chunker.summaries_made")
    async with db.transaction(tree.workspace_id) as tx:
        await wanted.finish(tx, tree, note)
    return made


async def postpone(db: Database, tree: WantedTree) -> None:
    async with db.transaction(tree.workspace_id) as tx:
        await wanted.again(tx, tree, retry_seconds(tree.attempts), tree.attempts + 1)


async def _absorb(db: Database, tree: WantedTree, *, better: bool) -> None:
    """Each transaction places some of what changed and says which nodes must be made anew."""
    if better:
        async with db.transaction(tree.workspace_id) as tx:
            await wanted.renew(tx, tree, LEASE_S)
            await trees.mark_unpaid(tx, tree.tree)
    more = tree.level != "source"
    while more:
        async with db.transaction(tree.workspace_id) as tx:
            await wanted.renew(tx, tree, LEASE_S)
            changed = await trees.changes(tx, tree.tree, AT_ONCE)
            found = await trees.items(tx, tree.tree, changed)
            touched = await trees.place(tx, tree, [item for item in found if item.parent_id is None])
            touched |= {item.parent_id for item in found if item.parent_id is not None}
            touched |= {left for left in changed.values() if left is not None}
            await trees.mark_stale(tx, tree.tree, touched)
            await trees.forget_changes(tx, tree.tree, changed)
        more = len(changed) == AT_ONCE
        crashpoint("chunker.summaries_placed")


async def _next(db: Database, tree: WantedTree) -> list[Stale]:
    async with db.transaction(tree.workspace_id) as tx:
        await wanted.renew(tx, tree, LEASE_S)
        return await trees.stale(tx, tree.tree, NODES_AT_ONCE)


async def _make(db: Database, tree: WantedTree, node: Stale, writer: Writer) -> Written | None:
    """None if there was nothing to make: the input stayed, or nothing is below it any more."""
    async with db.transaction(tree.workspace_id) as tx:
        if writer.better:
            await wanted.renew(tx, tree, ASKING_S)
        reading = await _read(tx, tree, node)
    if not reading.below:
        await _remove(db, tree, node)
        return None
    keeps = node.input_hash == reading.input_hash and (node.method != EXTRACTIVE or not writer.better)
    if keeps:
        written = Written(node.text, node.method, node.note)
    else:
        written = await writer.write(
            Asked(
                workspace=tree.workspace_id,
                level=node.level,
                title=reading.title,
                below=reading.below,
                input_hash=reading.input_hash,
            )
        )
    await _save(db, tree, reading, written)
    return None if keeps else written


async def _read(tx: Transaction, tree: WantedTree, node: Stale) -> _Made:
    below, rows = await trees.below(tx, node)
    title = await _title(tx, tree, node, rows)
    hashes = [one.hash or text_hash("", one.text) for one in below]
    lone = rows[0]["id"] if node.id == tree.tree and len(rows) == 1 and level_of(rows[0]["id"]) == "group" else None
    return _Made(node=node, title=title, below=below, input_hash=input_hash(node.level, title, hashes), lone_group=lone)


async def _title(tx: Transaction, tree: WantedTree, node: Stale, rows: Sequence[Row]) -> str:
    if node.level == "group" and rows:
        return span([row["title"] for row in rows], [row["place"] for row in rows])
    if node.level in ("resource", "integration"):
        return as_text(await trees.title_of(tx, tree.tree) or node.title, LONGEST_TITLE)
    return node.title


async def _save(db: Database, tree: WantedTree, reading: _Made, written: Written) -> None:
    """A node that says the same as before stops the change here."""
    node, hashed = reading.node, text_hash(reading.title, written.text)
    async with db.transaction(tree.workspace_id) as tx:
        await wanted.renew(tx, tree, LEASE_S)
        if hashed != node.hash:
            await _tell(tx, tree, node, None)
        if reading.lone_group is not None:
            await trees.lift(tx, tree.tree, reading.lone_group)
        await trees.write(
            tx,
            node,
            written,
            title=reading.title,
            input_hash=reading.input_hash,
            hash=hashed,
            children=len(reading.below),
            stale=reading.lone_group is not None,
        )


async def _remove(db: Database, tree: WantedTree, node: Stale) -> None:
    async with db.transaction(tree.workspace_id) as tx:
        await wanted.renew(tx, tree, LEASE_S)
        if (await trees.below(tx, node))[0]:
            return
        await _tell(tx, tree, node, node.parent_id)
        await trees.drop(tx, node)


async def _tell(tx: Transaction, tree: WantedTree, node: Stale, left: str | None) -> None:
    """The node above must be made anew; above the top that is another tree's work."""
    if node.id != tree.tree and node.parent_id is not None:
        await trees.mark_stale(tx, tree.tree, {node.parent_id})
    elif node.tree:
        await wanted.note(tx, tree.workspace_id, node.tree, node.id, left)
