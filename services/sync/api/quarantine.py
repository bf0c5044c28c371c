"""Items that did not fit, over HTTP: shown, and asked for again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from libs.common.database.transaction import Row
from libs.common.http.wire import Page, Wire, decode_cursor, following
from libs.common.security.principals import Principal
from services.sync.deps import Deps
from services.sync.use_cases import asking, quarantine

READ = "sync:read"
WRITE = "sync:write"

Limit = Annotated[int, QueryParameter(ge=1, le=200)]


class QuarantinedWire(Wire):
    """`byKey` false: nothing names the item, so a retry lists its stream whole."""

    resource_id: str
    resource_name: str | None
    key: str
    stream: str
    code: str
    detail: str
    attempts: int
    by_key: bool
    first_seen_at: datetime
    last_seen_at: datetime
    retry_at: datetime


class RetryBody(Wire):
    """`resource` by its id; `keys` absent: everything in quarantine there."""

    resource: str
    keys: list[str] | None = None


class RetriedWire(Wire):
    """`keys` are read again at once; `streams` are listed whole."""

    keys: list[str]
    streams: list[str]


@get("/v1/integrations/{integration:str}/quarantine", tags=["quarantine"])
async def list_quarantined(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> Page[QuarantinedWire]:
    """Items that did not fit the provider's contract; each is tried again by itself, later and later."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    after = decode_cursor(cursor, tuple[str, str]) if cursor else ("", "")
    rows = await quarantine.list_items(integration, deps=deps, workspace=workspace, after=after, limit=limit + 1)
    return Page(items=[_item(row) for row in rows[:limit]], next_cursor=following(rows, limit, "resource_id", "key"))


@post("/v1/integrations/{integration:str}/quarantine/retry", tags=["quarantine"], status_code=202)
async def retry_quarantined(
    integration: FromPath[str],
    data: JSONBody[RetryBody],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
) -> RetriedWire:
    """Returns at once; a success takes the item out of quarantine, another failure counts."""
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    found = await quarantine.retry(integration, data.resource, data.keys, deps=deps, workspace=workspace)
    return RetriedWire(keys=found.keys, streams=found.streams)


def _item(row: Row) -> QuarantinedWire:
    return QuarantinedWire(**{name: row[name] for name in QuarantinedWire.__struct_fields__})
