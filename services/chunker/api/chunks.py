"""A source's chunks over HTTP."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.http.wire import Ordinal, Page, Wire, decode_cursor, encode_cursor
from libs.common.security.principals import Principal
from services.chunker.api.wire import Limit, workspace_of
from services.chunker.use_cases import reading


class ChunkShown(Wire):
    id: str
    ordinal: int
    anchor: str
    path: list[str]
    start_byte: int
    end_byte: int
    tokens: int
    text: str


@get("/v1/sources/{source_id:str}/chunks", operation_id="listChunks", tags=["search"])
async def list_chunks(
    source_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[ChunkShown]:
    """A source's chunks in the order of its text."""
    absent = "no such source, or it is not indexed yet"
    workspace = await workspace_of(db, principal, "indexed_source", source_id, absent=absent)
    after: int = decode_cursor(cursor, Ordinal) if cursor else -1
    rows = await reading.read_chunks(db, workspace, source_id, after=after, limit=limit + 1)
    shown = [_chunk_shown(row) for row in rows[:limit]]
    return Page(items=shown, next_cursor=encode_cursor(shown[-1].ordinal) if len(rows) > limit else None)


def _chunk_shown(row: Row) -> ChunkShown:
    names = ("id", "ordinal", "anchor", "start_byte", "end_byte", "tokens", "text")
    return ChunkShown(path=list(row["heading_path"]), **{name: row[name] for name in names})
