"""The picker over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from libs.common.http.wire import decode_cursor, encode_cursor
from libs.common.security.principals import Principal
from services.sync.api.freshness import summary_wire
from services.sync.api.wire import ResourcesWire, SelectionBody, found_wire, selected_wire
from services.sync.deps import Deps
from services.sync.use_cases import asking, picking
from services.sync.use_cases.picking import Picked

READ = "resources:read"
WRITE = "resources:write"

Matching = Annotated[str, QueryParameter(name="query", max_length=200)]


@get("/v1/integrations/{integration:str}/resources", tags=["resources"])
async def list_resources(
    integration: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    matching: Matching = "",
    cursor: FromQuery[str | None] = None,
    selected: FromQuery[bool] = False,
) -> ResourcesWire:
    """What the grant could sync, most recently active first, and what is selected; `selected` asks for that alone,
    also while the provider or the grant is away.
    """
    principal.require(READ)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    if selected:
        return _wire(await picking.read_selected(integration, deps=deps, workspace=workspace))
    position: dict[str, Any] | None = decode_cursor(cursor, dict) if cursor else None
    return _wire(await picking.offer(integration, deps=deps, workspace=workspace, query=matching, cursor=position))


@put("/v1/integrations/{integration:str}/resources", tags=["resources"])
async def choose_resources(
    integration: FromPath[str],
    data: JSONBody[SelectionBody],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
) -> ResourcesWire:
    """Selects exactly these: new ones are synced at once, the sources of the others go.

    A wider window (`since`) brings the older part; a narrower one takes nothing away.
    """
    principal.require(WRITE)
    workspace = await asking.workspace_of(deps, principal, "known_integration", integration)
    return _wire(await picking.choose(integration, data.choices(), deps=deps, workspace=workspace))


def _wire(picked: Picked) -> ResourcesWire:
    selected = {row["external_id"]: row for row in picked.selected}
    found = picked.found
    return ResourcesWire(
        items=[found_wire(one, selected) for one in found.items] if found else [],
        selected=[selected_wire(row) for row in picked.selected],
        freshness=summary_wire(picked.selected),
        next_cursor=encode_cursor(found.next_cursor) if found and found.next_cursor is not None else None,
    )
