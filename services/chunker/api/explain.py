"""The indexer's part of the way of a source, over HTTP."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from libs.common.database.engine import Database
from libs.common.http.explained import Steps
from libs.common.security.principals import Principal
from services.chunker.api.wire import READ
from services.chunker.use_cases import reading


@get("/v1/workspaces/{workspace:str}/sources/{source_id:str}/explain", operation_id="explainIndex", tags=["search"])
async def explain_index(
    workspace: FromPath[str],
    source_id: FromPath[str],
    principal: NamedDependency[Principal],
    db: NamedDependency[Database],
) -> Steps:
    """Where a source stands on its way into searches, or why none finds it: the indexer's part of the way."""
    principal.require(READ)
    principal.require_workspace(workspace)
    return Steps(steps=await reading.explain_source(db, workspace, source_id))
