"""Summaries over HTTP: from the workspace down to the chunks that a summary comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.http.wire import Page, Wire
from libs.common.security.principals import Principal
from services.chunker.api.wire import Limit, workspace_of
from services.chunker.summarising.tree import Level, node_id
from services.chunker.use_cases.reading_summaries import read_summary, read_summary_chunks

Below = Literal["section", "source", "resource", "integration"]


class SummaryNode(Wire):
    """`chunkIds` are the chunks it was made from itself; `children` counts these and the nodes it was made from.

    `text` is plain text. `note` says why an endpoint did not write it; `stale` that it is to be made anew.
    """

    id: str
    level: Level
    title: str
    anchor: str
    source_id: str | None
    text: str
    method: str
    note: str | None
    updated_at: datetime
    hash: str
    chunk_ids: list[str]
    children: int
    stale: bool


class Summary(Wire):
    """A node, and a page of the nodes below it."""

    node: SummaryNode
    items: list[SummaryNode]
    next_cursor: str | None = None


class SummaryChunk(Wire):
    source_id: str
    chunk_id: str
    ordinal: int
    start_byte: int
    end_byte: int


@get("/v1/sources/{source_id:str}/summary", operation_id="sourceSummary", tags=["summaries"])
async def source_summary(
    source_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    level: FromQuery[Literal["section"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Summary:
    """What a source is about, and its sections: the direct ones in order, or with `level=section` all of them."""
    return await _summary(db, principal, node_id("source", source_id), level, (limit, cursor))


@get("/v1/resources/{resource_id:str}/summary", operation_id="resourceSummary", tags=["summaries"])
async def resource_summary(
    resource_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    level: FromQuery[Literal["source"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Summary:
    """What a repository, channel or site is about; its sources, or groups of them where they are many."""
    return await _summary(db, principal, node_id("resource", resource_id), level, (limit, cursor))


@get("/v1/integrations/{integration_id:str}/summary", operation_id="integrationSummary", tags=["summaries"])
async def integration_summary(
    integration_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    level: FromQuery[Literal["source", "resource"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Summary:
    """What an integration holds, by its resources."""
    return await _summary(db, principal, node_id("integration", integration_id), level, (limit, cursor))


@get("/v1/workspaces/{workspace:str}/summary", operation_id="workspaceSummary", tags=["summaries"])
async def workspace_summary(
    workspace: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    level: FromQuery[Literal["source", "resource", "integration"] | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Summary:
    """What a workspace holds, by its integrations."""
    return await _summary(db, principal, node_id("workspace", workspace), level, (limit, cursor))


@get("/v1/summaries/{summary_id:str}", operation_id="summaryNode", tags=["summaries"])
async def summary_node(
    summary_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Summary:
    """Any node by its id, with the nodes it was made from, in order."""
    return await _summary(db, principal, summary_id, None, (limit, cursor))


@get("/v1/summaries/{summary_id:str}/chunks", operation_id="summaryChunks", tags=["summaries"])
async def summary_chunks(
    summary_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[SummaryChunk]:
    """Where a summary's words come from: every chunk below it, by source and in the order of its text."""
    workspace = await _workspace_of(db, principal, summary_id)
    rows, next_cursor = await read_summary_chunks(db, workspace, summary_id, cursor=cursor, limit=limit)
    return Page(items=[SummaryChunk(**row) for row in rows], next_cursor=next_cursor)


async def _summary(
    db: Database, principal: Principal, summary_id: str, level: Below | None, page: tuple[int, str | None]
) -> Summary:
    workspace = await _workspace_of(db, principal, summary_id)
    limit, cursor = page
    found = await read_summary(db, workspace, summary_id, level=level, cursor=cursor, limit=limit)
    return Summary(node=_node(found.node), items=[_node(row) for row in found.rows], next_cursor=found.next_cursor)


async def _workspace_of(db: Database, principal: Principal, summary_id: str) -> str:
    return await workspace_of(db, principal, "summary", summary_id, absent="nothing is summarised there, or not yet")


def _node(row: Row) -> SummaryNode:
    names = ("id", "level", "title", "anchor", "text", "method", "hash", "children", "stale")
    return SummaryNode(
        source_id=row["source_id"] or None,
        note=row["note"] or None,
        updated_at=row["made_at"],
        chunk_ids=list(row["chunk_ids"]),
        **{name: row[name] for name in names},
    )
