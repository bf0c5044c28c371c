"""Workspaces and the catalogue of providers over HTTP."""

from __future__ import annotations

from litestar import Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from libs.common.security.principals import Principal
from libs.providers import registry
from services.auth.api.wire import ProvidersWire, WorkspaceWire, provider_wire
from services.auth.deps import Deps
from services.auth.domain.input import check_workspace_id
from services.auth.use_cases import workspaces

MANAGE = "workspaces:manage"
READ = "integrations:read"


@put("/v1/workspaces/{workspace:str}", tags=["workspaces"], status_code=200)
async def put_workspace(
    workspace: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> Response[WorkspaceWire]:
    """Creates the workspace under the application's own id; a repeat changes nothing. 201 when it is new."""
    principal.require(MANAGE)
    principal.require_workspace(check_workspace_id(workspace))
    created_at, is_new = await workspaces.put_workspace(workspace, deps=deps, actor=principal.subject)
    return Response(WorkspaceWire(id=workspace, created_at=created_at), status_code=201 if is_new else 200)


@delete("/v1/workspaces/{workspace:str}", tags=["workspaces"], status_code=204)
async def delete_workspace(
    workspace: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> None:
    """Erases everything of it, in every service; the id can never be used again."""
    principal.require(MANAGE)
    principal.require_workspace(check_workspace_id(workspace))
    await workspaces.delete_workspace(workspace, deps=deps, actor=principal.subject)


@get("/v1/providers/{provider:str}/icon", tags=["providers"], media_type="image/svg+xml", opt={"anonymous": True})
async def read_icon(provider: FromPath[str]) -> bytes:
    """The provider's own drawing, for a button that a browser shows."""
    return registry.icon(provider)


@get("/v1/providers", tags=["providers"])
async def list_providers(deps: NamedDependency[Deps], principal: NamedDependency[Principal]) -> ProvidersWire:
    """Every provider with its features and what an operator has yet to configure."""
    principal.require(READ)
    found = deps.providers.all()
    wires = [provider_wire(one, deps.providers.ways(one), deps.settings.public_url) for one in found]
    return ProvidersWire(items=wires)
