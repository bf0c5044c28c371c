"""Integrations over HTTP: connect, list, read, configure, disconnect, and ask whether the grant is alive."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from msgspec import UNSET

from libs.common.database.transaction import Transaction
from libs.common.errors import InvalidInput, NotFound
from libs.common.http.wire import Page, decode_cursor, encode_cursor
from libs.common.security.principals import Principal
from services.auth.api.callers import starter_of
from services.auth.api.oauth_wire import BegunWire, begun_wire
from services.auth.api.wire import ChangeBody, CheckWire, ConnectBody, IntegrationWire, ReconnectBody, integration_wire
from services.auth.deps import Deps
from services.auth.domain.input import check_workspace_id
from services.auth.domain.integration import Seen
from services.auth.idempotency import Finish, answer_once
from services.auth.use_cases import configure, disconnect, grants, read
from services.auth.use_cases.connect import ConnectAsked, connect_integration
from services.auth.use_cases.oauth.begin import WayBack, begin_reconnect

READ = "integrations:read"
WRITE = "integrations:write"
MOST_ON_A_PAGE = 200

Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ON_A_PAGE)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


@post("/v1/workspaces/{workspace:str}/integrations", tags=["integrations"], status_code=201)
async def connect(
    workspace: FromPath[str],
    data: JSONBody[ConnectBody],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    idempotency_key: IdempotencyKey = None,
) -> IntegrationWire:
    """Connects by token or by a site's address, after asking the provider. One integration of a type per workspace.

    `features` left out or null are the ones that the catalogue enables; an empty list is refused.
    """
    principal.require(WRITE)
    principal.require_workspace(check_workspace_id(workspace))
    asked, actor = _asked(data), principal.subject

    async def work(finish: Finish) -> bytes:
        async def remember(tx: Transaction, seen: Seen) -> None:
            await finish(tx, _encoded(seen))

        return _encoded(
            await connect_integration(asked, deps=deps, workspace=workspace, actor=actor, remember=remember)
        )

    request = b"connect " + msgspec.json.encode(data)
    answer = await answer_once(deps=deps, workspace=workspace, key=idempotency_key, request=request, work=work)
    return msgspec.json.decode(answer, type=IntegrationWire)


@get("/v1/workspaces/{workspace:str}/integrations", tags=["integrations"])
async def list_integrations(
    workspace: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    status: FromQuery[Literal["active", "inactive", "error"] | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = 50,
) -> Page[IntegrationWire]:
    """Oldest first; disconnected ones are not listed."""
    principal.require(READ)
    principal.require_workspace(check_workspace_id(workspace))
    after = decode_cursor(cursor, str) if cursor else ""
    found = await read.list_integrations(deps=deps, workspace=workspace, status=status, after=after, limit=limit)
    following = encode_cursor(found[limit - 1].integration.id) if len(found) > limit else None
    return Page(items=[integration_wire(seen) for seen in found[:limit]], next_cursor=following)


class IntegrationController(Controller):
    path = "/v1/integrations/{integration:str}"
    tags = ["integrations"]  # noqa: RUF012 - Litestar's own way to say it

    @get()
    async def read(
        self, integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
    ) -> IntegrationWire:
        """Also a disconnected one, whose status is inactive."""
        principal.require(READ)
        workspace = await _workspace_of(integration, deps, principal)
        return integration_wire(await read.read_integration(deps=deps, workspace=workspace, integration_id=integration))

    @patch()
    async def change(
        self,
        integration: FromPath[str],
        data: JSONBody[ChangeBody],
        deps: NamedDependency[Deps],
        principal: NamedDependency[Principal],
    ) -> IntegrationWire:
        """What is left out stays; hooks and the next poll follow at once.

        `features` null are the ones that the catalogue enables; an empty list is refused, `pause` syncs nothing.
        """
        target = await _target(integration, deps, principal)
        return integration_wire(await configure.configure_integration(_changes(data), **target))

    @delete(status_code=204)
    async def disconnect(
        self, integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
    ) -> None:
        """Hooks are removed and what was synced goes; the type may be connected again at once."""
        await disconnect.disconnect_integration(**await _target(integration, deps, principal))

    @post("/check", status_code=200)
    async def check(
        self, integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
    ) -> CheckWire:
        """Asks the provider whether the grant is alive."""
        verdict = await grants.check_integration(**await _target(integration, deps, principal))
        return CheckWire(result=verdict.result, code=verdict.code, detail=verdict.detail or None)

    @post("/pause", status_code=200)
    async def pause(
        self, integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
    ) -> IntegrationWire:
        """Stops syncing and hooks; everything synced stays."""
        return integration_wire(await configure.pause_integration(**await _target(integration, deps, principal)))

    @post("/resume", status_code=200)
    async def resume(
        self, integration: FromPath[str], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
    ) -> IntegrationWire:
        """Goes on after a pause."""
        return integration_wire(await configure.resume_integration(**await _target(integration, deps, principal)))

    @post("/reconnect", status_code=200, responses={202: ResponseSpec(BegunWire, description="A consent to be given")})
    async def reconnect(
        self,
        integration: FromPath[str],
        data: JSONBody[ReconnectBody],
        deps: NamedDependency[Deps],
        principal: NamedDependency[Principal],
    ) -> Response[IntegrationWire | BegunWire]:
        """A new token of the same account, or with `redirectUrl` a new consent; another account is 409."""
        target = await _target(integration, deps, principal)
        if data.redirect_url is None:
            seen = await grants.reconnect_integration(data.token or "", **target)
            return Response(integration_wire(seen), status_code=200)
        if data.token is not None:
            raise InvalidInput("send a token, or redirectUrl for a new consent", pointer="/token")
        target["starter"] = starter_of(principal, data.subject)
        del target["actor"]
        way = WayBack(redirect_url=data.redirect_url, callback=data.callback)
        return Response(begun_wire(await begin_reconnect(way, **target), deps.settings.public_url), status_code=202)


async def _workspace_of(integration: str, deps: Deps, principal: Principal) -> str:
    workspace = await deps.db.locate("integration", integration)
    if workspace is None:
        raise NotFound
    principal.require_workspace(workspace)
    return workspace


async def _target(integration: str, deps: Deps, principal: Principal) -> dict[str, Any]:
    principal.require(WRITE)
    workspace = await _workspace_of(integration, deps, principal)
    return {"deps": deps, "workspace": workspace, "integration_id": integration, "actor": principal.subject}


def _asked(data: ConnectBody) -> ConnectAsked:
    provider = data.provider or data.type
    if not provider:
        raise InvalidInput("say which provider to connect", pointer="/provider")
    if data.provider and data.type and data.provider != data.type:
        raise InvalidInput("provider and type are the same thing; send one", pointer="/type")
    return data.asked(provider, token=data.token or "", url=data.url or "")


def _changes(data: ChangeBody) -> configure.ChangesAsked:
    given = {name: getattr(data, name) for name in data.__struct_fields__ if getattr(data, name) is not UNSET}
    if given.get("features") is not None:
        given["features"] = tuple(given["features"])
    return configure.ChangesAsked(**given)


def _encoded(seen: Seen) -> bytes:
    return msgspec.json.encode(integration_wire(seen))
