"""Client tokens over HTTP: what an application's backend gives to its page instead of an API key."""

from __future__ import annotations

from datetime import datetime

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from libs.common.http.wire import Wire
from libs.common.security.principals import Principal
from services.auth.deps import Deps
from services.auth.domain.input import check_workspace_id
from services.auth.use_cases.client_tokens import ClientTokenAsked, make_client_token

# Never among a client token's own scopes, so no page can make another token.
MAKE = "client_tokens:make"


class ClientTokenBody(Wire):
    """`subject` is the application's name for its user; `origin` the page's. No scopes = all that a page may have."""

    subject: str
    origin: str
    scopes: list[str] | None = None
    ttl_seconds: int = 900


class ClientTokenWire(Wire):
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "ClientTokenWire()"


@post("/v1/workspaces/{workspace:str}/client-tokens", tags=["workspaces"], status_code=201)
async def post_client_token(
    workspace: FromPath[str],
    data: JSONBody[ClientTokenBody],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
) -> ClientTokenWire:
    """A token for a browser: at most 15 minutes, bound to the workspace, the subject, the page's origin and scopes.

    The origin is one of CORS_ALLOWED_ORIGINS, PUBLIC_URL's own too if the page lies there; from elsewhere it is 401.
    """
    principal.require(MAKE)
    principal.require_workspace(check_workspace_id(workspace))
    asked = ClientTokenAsked(
        user=data.subject,
        origin=data.origin,
        scopes=None if data.scopes is None else tuple(data.scopes),
        seconds=data.ttl_seconds,
    )
    token, expires_at = await make_client_token(asked, deps=deps, workspace=workspace, actor=principal.subject)
    return ClientTokenWire(token=token, expires_at=expires_at)
