"""Summaries over HTTP."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from libs.common.database.engine import Database
from libs.common.http.wire import Wire
from libs.common.security.principals import Principal
from services.chunker.api.wire import workspace_of
from services.chunker.use_cases import reading


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


@get("/v1/sources/{source_id:str}/summary", operation_id="sourceSummary", tags=["search"])
async def source_summary(
    source_id: FromPath[str], principal: NamedDependency[Principal], db: NamedDependency[Database]
) -> SourceSummary:
    """The extractive summary of a source and of its sections."""
    workspace = await workspace_of(db, principal, source_id)
    nodes = [
        SummaryNode(**{name: row[name] for name in SummaryNode.__struct_fields__})
        for row in await reading.read_summary(db, workspace, source_id)
    ]
    whole = nodes[0] if nodes else SummaryNode(anchor="", heading="", text="", method="extractive", chunk_ids=[])
    return SourceSummary(source_id=source_id, summary=whole.text, method=whole.method, sections=nodes[1:])
