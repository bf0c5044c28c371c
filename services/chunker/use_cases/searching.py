"""Finding chunks by their words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.http.wire import decode_cursor, encode_cursor
from services.chunker.domain.searching import Filters, Position
from services.chunker.lexical import query_terms
from services.chunker.repository import search as ranking
from services.chunker.repository import workspaces


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    rows: Sequence[Row]
    lexemes: list[str]
    next_cursor: str | None


async def search(
    db: Database, workspace: str, *, query: str, filters: Filters, cursor: str | None, limit: int
) -> Answers:
    """Raises NotFound for a workspace that never connected anything, InvalidCursor for a foreign cursor."""
    after = decode_cursor(cursor, Position) if cursor else None
    terms = query_terms(query)
    async with db.transaction(workspace) as tx:
        if not await workspaces.knows(tx, workspace):
            raise NotFound("unknown workspace, or nothing is connected in it yet")
        lexemes = await ranking.lexemes(tx, terms)
        rows = await ranking.search(tx, lexemes, filters, after, limit + 1)
    more = rows[limit - 1] if len(rows) > limit else None
    next_cursor = encode_cursor(Position(score=more["score"], pk=more["pk"])) if more else None
    return Answers(rows=rows[:limit], lexemes=lexemes, next_cursor=next_cursor)
