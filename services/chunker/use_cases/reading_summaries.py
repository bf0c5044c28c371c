"""Reading the summary tree from any node of it, down to the chunks that its words come from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.http.wire import Ordinal, decode_cursor, following
from services.chunker.repository.summaries import reading


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A node, and a page of what is below it."""

    node: Row
    rows: Sequence[Row]
    next_cursor: str | None


async def read_summary(
    db: Database, workspace: str, node_id: str, *, level: str | None = None, cursor: str | None = None, limit: int = 50
) -> Answer:
    """Its children in order, or all nodes of one level below it. Raises NotFound for a node that is not there."""
    async with db.transaction(workspace) as tx:
        node = await reading.node(tx, node_id)
        if node is None:
            raise NotFound("nothing is summarised there, or not yet")
        if level is None:
            after = decode_cursor(cursor, tuple[str, str]) if cursor else ("", "")
            rows = await reading.children(tx, node_id, after, limit + 1)
            return Answer(node=node, rows=rows[:limit], next_cursor=following(rows, limit, "place", "id"))
        after_id = decode_cursor(cursor, str) if cursor else ""
        rows = await reading.of_level(tx, node_id, level, after_id, limit + 1)
        return Answer(node=node, rows=rows[:limit], next_cursor=following(rows, limit, "id"))


async def read_summary_chunks(
    db: Database, workspace: str, node_id: str, *, cursor: str | None, limit: int
) -> tuple[Sequence[Row], str | None]:
    after = decode_cursor(cursor, tuple[str, Ordinal]) if cursor else ("", -1)
    async with db.transaction(workspace) as tx:
        rows = await reading.chunks(tx, node_id, after, limit + 1)
    return rows[:limit], following(rows, limit, "source_id", "ordinal")
