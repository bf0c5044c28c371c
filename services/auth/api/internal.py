"""The access-token broker's route: service tokens only, never routed by the gateway."""

from __future__ import annotations

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from libs.common.errors import Forbidden, NotFound
from libs.common.internal import AccessToken, AccessTokenAsked
from libs.common.security.principals import INTERNAL, Principal
from services.auth.deps import Deps
from services.auth.use_cases.lend import lend_token


@post("/internal/v1/integrations/{integration:str}/access-token", tags=["internal"], status_code=200)
async def lend_access_token(
    integration: FromPath[str],
    data: JSONBody[AccessTokenAsked],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
) -> AccessToken:
    """An access token for one job of one workspace; never a refresh token."""
    principal.require(INTERNAL)
    if principal.service is None:
        raise Forbidden
    workspace = await deps.db.locate("integration", integration)
    if workspace is None:
        raise NotFound
    return await lend_token(data, deps=deps, workspace=workspace, integration_id=integration, service=principal.service)
