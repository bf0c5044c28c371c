"""Search, chunks and summaries over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.http.explained import Steps
from libs.common.http.wire import Page, Wire, decode_cursor, encode_cursor
from libs.common.security.principals import Principal
from services.chunker import use_cases
from services.chunker.domain import Filters
from services.chunker.lexical import Highlight, highlight

READ = "sources:read"
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


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


class ChunkShown(Wire):
    id: str
    ordinal: int
    anchor: str
    path: list[str]
    start_byte: int
    end_byte: int
    tokens: int
    text: str


class SummaryNode(Wire):
    anchor: str
    heading: str
    text: str
    method: str
    chunk_ids: list[str]


class SourceSummary(Wire):
    source_id: str
    summary: str
    method: str
    sections: list[SummaryNode]


class SearchController(Controller):
    path = "/v1"
    tags = ("search",)

    @post("/workspaces/{workspace:str}/search", status_code=200, operation_id="search")
    async def search(
        self,
        workspace: FromPath[str],
        data: JSONBody[SearchAsked],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
    ) -> Page[Found]:
        """Chunks that answer the words, best first."""
        principal.require(READ)
        principal.require_workspace(workspace)
        answers = await use_cases.search(
            db, workspace, query=data.query, filters=data.filters, cursor=data.cursor, limit=data.limit
        )
        return Page(items=[_found(row, answers.lexemes) for row in answers.rows], next_cursor=answers.next_cursor)

    @get("/sources/{source_id:str}/chunks", operation_id="listChunks")
    async def chunks(
        self,
        source_id: FromPath[str],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        limit: Limit = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ChunkShown]:
        """A source's chunks in the order of its text."""
        workspace = await _workspace_of(db, principal, source_id)
        after = decode_cursor(cursor, int) if cursor else -1
        rows = await use_cases.read_chunks(db, workspace, source_id, after=after, limit=limit + 1)
        shown = [_chunk_shown(row) for row in rows[:limit]]
        return Page(items=shown, next_cursor=encode_cursor(shown[-1].ordinal) if len(rows) > limit else None)

    @get("/sources/{source_id:str}/summary", operation_id="sourceSummary")
    async def summary(
        self, source_id: FromPath[str], principal: NamedDependency[Principal], db: NamedDependency[Database]
    ) -> SourceSummary:
        """The extractive summary of a source and of its sections."""
        workspace = await _workspace_of(db, principal, source_id)
        nodes = [
            SummaryNode(**{name: row[name] for name in SummaryNode.__struct_fields__})
            for row in await use_cases.read_summary(db, workspace, source_id)
        ]
        whole = nodes[0] if nodes else SummaryNode(anchor="", heading="", text="", method="extractive", chunk_ids=[])
        return SourceSummary(source_id=source_id, summary=whole.text, method=whole.method, sections=nodes[1:])

    @get("/workspaces/{workspace:str}/sources/{source_id:str}/explain", operation_id="explainIndex")
    async def explain(
        self,
        workspace: FromPath[str],
        source_id: FromPath[str],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
    ) -> Steps:
        """Where a source stands on its way into searches, or why none finds it: the indexer's part of the way."""
        principal.require(READ)
        principal.require_workspace(workspace)
        return Steps(steps=await use_cases.explain_source(db, workspace, source_id))


async def _workspace_of(db: Database, principal: Principal, source_id: str) -> str:
    principal.require(READ)
    workspace = await db.locate("indexed_source", source_id)
    if workspace is None:
        raise NotFound("no such source, or it is not indexed yet")
    principal.require_workspace(workspace)
    return workspace


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


def _chunk_shown(row: Row) -> ChunkShown:
    names = ("id", "ordinal", "anchor", "start_byte", "end_byte", "tokens", "text")
    return ChunkShown(path=list(row["heading_path"]), **{name: row[name] for name in names})
