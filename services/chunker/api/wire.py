"""What several answers of the chunker share."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from libs.common.database.engine import Database
from libs.common.errors import NotFound
from libs.common.security.principals import Principal

READ = "sources:read"
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


async def workspace_of(db: Database, principal: Principal, table: str, row_id: str, *, absent: str) -> str:
    """Of a row that the caller may read; `absent` is what is said when there is none."""
    principal.require(READ)
    return seen(principal, await db.locate(table, row_id), absent)


def seen(principal: Principal, workspace: str | None, absent: str) -> str:
    """Raises NotFound in the same words for what is foreign and for what is not there: neither tells of the other."""
    if workspace is None or not principal.sees(workspace):
        raise NotFound(absent)
    return workspace
