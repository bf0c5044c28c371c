"""Answers that did not fit, for the operator who asked for them to be kept."""

from __future__ import annotations

from datetime import datetime

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from libs.common.database.transaction import Row
from libs.common.http.wire import Wire
from libs.common.security.principals import Principal
from services.sync.deps import Deps
from services.sync.use_cases import asking, capturing

READ = "captures:read"


class CapturedPageWire(Wire):
    """`body` only of one; secrets in it are masked, and what is beyond 1 MiB is cut."""

    id: str
    integration_id: str
    resource_id: str
    stream: str
    code: str
    detail: str
    status: int
    url: str
    cut: bool
    captured_at: datetime
    expires_at: datetime
    body: str | None = None


class CapturedPagesWire(Wire):
    items: list[CapturedPageWire]


@get("/v1/integrations/{integration:str}/captured-pages", tags=["quarantine"])
async def list_captured_pages(
    integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> CapturedPagesWire:
    """The newest answer of each stream that did not fit, while SYNC_CAPTURE_PAGES=failing."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    rows = await capturing.list_captured(integration, deps=deps, workspace=workspace)
    return CapturedPagesWire(items=[_page(row) for row in rows])


@get("/v1/captured-pages/{page:str}", tags=["quarantine"])
async def read_captured_page(
    page: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> CapturedPageWire:
    """With its body as the provider sent it, secrets masked."""
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "captured_page", page)
    row = await capturing.read_captured(page, deps=deps, workspace=workspace)
    return _page(row, body=row["body"])


def _page(row: Row, body: str | None = None) -> CapturedPageWire:
    given = [name for name in CapturedPageWire.__struct_fields__ if name != "body"]
    return CapturedPageWire(**{name: row[name] for name in given}, body=body)
