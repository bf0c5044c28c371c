"""Search over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.http.wire import Page, Wire
from libs.common.security.principals import Principal
from services.chunker.api.wire import READ
from services.chunker.domain.searching import Filters
from services.chunker.lexical import Highlight, highlight
from services.chunker.use_cases import searching


class SearchAsked(Wire):
    """`query` is plain words; every filter narrows."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    cursor: str | None = None
    filters: Filters = msgspec.field(default_factory=Filters)


class FoundHighlight(Wire):
    """`ranges` are [start, end) in characters of `text`."""

    text: str
    ranges: list[tuple[int, int]]


class FoundChunk(Wire):
    id: str
    text: str
    path: list[str]
    anchor: str
    start_byte: int
    end_byte: int


class FoundSource(Wire):
    id: str
    type: str
    name: str
    url: str
    path: str | None
    provider: str
    integration_id: str
    resource_id: str
    resource_name: str
    version: int


class Found(Wire):
    score: float
    highlights: list[FoundHighlight]
    chunk: FoundChunk
    source: FoundSource


@post("/v1/workspaces/{workspace:str}/search", status_code=200, operation_id="search", tags=["search"])
async def search(
    workspace: FromPath[str],
    data: JSONBody[SearchAsked],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
) -> Page[Found]:
    """Chunks that answer the words, best first."""
    principal.require(READ)
    principal.require_workspace(workspace)
    answers = await searching.search(
        db, workspace, query=data.query, filters=data.filters, cursor=data.cursor, limit=data.limit
    )
    return Page(items=[_found(row, answers.lexemes) for row in answers.rows], next_cursor=answers.next_cursor)


def _found(row: Row, lexemes: Sequence[str]) -> Found:
    source = {name: row[name] for name in FoundSource.__struct_fields__ if name != "id"}
    return Found(
        score=round(row["score"], 6),
        highlights=[_highlighted(one) for one in highlight(row["text"], lexemes)],
        chunk=FoundChunk(
            id=row["id"],
            text=row["text"],
            path=list(row["heading_path"]),
            anchor=row["anchor"],
            start_byte=row["start_byte"],
            end_byte=row["end_byte"],
        ),
        source=FoundSource(id=row["source_id"], **source),
    )


def _highlighted(one: Highlight) -> FoundHighlight:
    return FoundHighlight(text=one.text, ranges=[(start, end) for start, end in one.ranges])
