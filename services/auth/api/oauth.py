"""OAuth over HTTP: begin, the two hops that a browser takes, complete, and how an attempt stands."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from libs.common.database.transaction import Transaction
from libs.common.errors import InvalidInput, MalformedPayload, SluiceError
from libs.common.security.principals import Principal
from services.auth.api.callers import starter_of
from services.auth.api.oauth_wire import (
    AttemptWire,
    BeginBody,
    BegunWire,
    CompleteBody,
    attempt_wire,
    begun_wire,
)
from services.auth.api.wire import IntegrationWire, integration_wire
from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt, Returned
from services.auth.domain.input import check_workspace_id
from services.auth.idempotency import Finish, answer_once
from services.auth.page import refusing_page, telling_page
from services.auth.use_cases.oauth import begin, complete, park, read, start

READ = "integrations:read"
WRITE = "integrations:write"
LONGEST_PARAMETER = 4096
MARK = re.compile(r"[A-Za-z0-9_-]{43}")  # as `new_ticket` makes it

ReturnedState = Annotated[str, QueryParameter(name="state")]  # Litestar keeps the name `state` for itself
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


@post("/v1/workspaces/{workspace:str}/connect", tags=["oauth"], status_code=201)
async def begin_connect(
    workspace: FromPath[str],
    data: JSONBody[BeginBody],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    idempotency_key: IdempotencyKey = None,
) -> BegunWire:
    """Starts a consent: open the answered address in a popup. The same caller and subject complete it.

    `features` left out or null are the ones that the catalogue enables; an empty list is refused.
    """
    principal.require(WRITE)
    principal.require_workspace(check_workspace_id(workspace))
    asked, way = data.asked(data.provider), begin.WayBack(redirect_url=data.redirect_url, callback=data.callback)
    whose: dict[str, Any] = {"deps": deps, "workspace": workspace, "starter": starter_of(principal, data.subject)}

    async def work(finish: Finish) -> bytes:
        async def remember(tx: Transaction, attempt: Attempt) -> None:
            await finish(tx, _encoded(attempt, deps))

        return _encoded(await begin.begin_connect(asked, way, **whose, remember=remember), deps)

    request = f"oauth {principal.subject} ".encode() + msgspec.json.encode(data)
    answer = await answer_once(deps=deps, workspace=workspace, key=idempotency_key, request=request, work=work)
    return msgspec.json.decode(answer, type=BegunWire)


@get("/v1/oauth/start/{attempt:str}", tags=["oauth"], status_code=302, opt={"anonymous": True})
async def start_consent(
    attempt: FromPath[str], deps: NamedDependency[Deps], request: Request[Any, Any, Any]
) -> Response[str]:
    """Marks the browser that opens it and sends it to the provider's consent page."""
    try:
        departure = await start.start_consent(attempt, deps=deps, browser=_mark(request, deps))
    except SluiceError as error:
        return _refused(error)
    return Response(
        "", status_code=302, media_type="text/html", headers={"location": departure.location},
        cookies=[_cookie(departure.browser, deps)],
    )  # fmt: skip


@get("/v1/oauth/callback/{ctx:str}", tags=["oauth"], media_type="text/html", opt={"anonymous": True})
async def receive_consent(
    ctx: FromPath[str],
    deps: NamedDependency[Deps],
    request: Request[Any, Any, Any],
    returned_state: ReturnedState = "",
    code: FromQuery[str] = "",
    error: FromQuery[str] = "",
    iss: FromQuery[str] = "",
) -> Response[str]:
    """Where the provider sends the browser back to: parks the code and tells the opener how to have it exchanged."""
    returned = Returned(state=returned_state, code=code, error=error, iss=iss)
    try:
        _check_returned(returned, request)
        told = await park.receive_consent(returned, deps=deps, ctx=ctx, browser=_mark(request, deps))
    except SluiceError as refusal:
        return _refused(refusal)
    html, headers = telling_page(told)
    return Response(html, media_type="text/html", headers=headers)


@post("/v1/oauth/complete", tags=["oauth"], status_code=200)
async def complete_connect(
    data: JSONBody[CompleteBody], deps: NamedDependency[Deps], principal: NamedDependency[Principal]
) -> IntegrationWire:
    """By the caller and subject that began: makes the one token request and answers the integration."""
    principal.require(WRITE)
    whose: dict[str, Any] = {
        "deps": deps,
        "starter": starter_of(principal, data.subject),
        "workspace": principal.workspace,
    }
    if data.attempt_id is not None and data.handle is not None and data.state is None:
        return integration_wire(await complete.complete_by_handle(data.attempt_id, data.handle, **whose))
    if data.state is None or data.handle is not None or bool(data.code) == bool(data.error):
        raise InvalidInput("send attemptId and handle, or state with either code or error", pointer="/")
    returned = Returned(state=data.state, code=data.code or "", error=data.error or "", iss=data.iss or "")
    return integration_wire(await complete.complete_by_code(returned, **whose))


@get("/v1/oauth/attempts/{attempt:str}", tags=["oauth"])
async def read_attempt(
    attempt: FromPath[str],
    deps: NamedDependency[Deps],
    principal: NamedDependency[Principal],
    subject: FromQuery[str | None] = None,
) -> AttemptWire:
    """How it stands: pending, connected, denied, failed or expired. For whoever began it; anyone else gets 404."""
    principal.require(READ)
    starter = starter_of(principal, subject)
    found, seen = await read.read_attempt(attempt, deps=deps, starter=starter, workspace=principal.workspace)
    return attempt_wire(found, seen)


def _encoded(attempt: Attempt, deps: Deps) -> bytes:
    return msgspec.json.encode(begun_wire(attempt, deps.settings.public_url))


def _check_returned(returned: Returned, request: Request[Any, Any, Any]) -> None:
    """A parameter that is sent twice could mean one thing here and another at the provider (RFC 6749 section 3.1)."""
    for name in ("state", "code", "error", "iss"):
        values = request.query_params.getall(name, [])
        if len(values) > 1 or any(len(value) > LONGEST_PARAMETER for value in values):
            raise MalformedPayload(f"{name} is sent more than once, or is too long")
    if bool(returned.code) == bool(returned.error):
        raise MalformedPayload("the provider sends either a code or an error")


def _cookie_name(deps: Deps) -> str:
    """HTTP clients send no Secure cookie to http loopback, so there, and nowhere else, it is a plain one."""
    return "__Host-sluice-oauth" if deps.settings.public_url.startswith("https://") else "sluice-oauth"


def _cookie(mark: str, deps: Deps) -> Cookie:
    name = _cookie_name(deps)
    return Cookie(
        key=name, value=mark, path="/", max_age=600, secure=name.startswith("__Host-"), httponly=True, samesite="lax"
    )


def _mark(request: Request[Any, Any, Any], deps: Deps) -> str | None:
    found = request.cookies.get(_cookie_name(deps), "")
    return found if MARK.fullmatch(found) else None


def _refused(error: SluiceError) -> Response[str]:
    """For a person at a browser: the code is in the page, and in a header for programs."""
    html, headers = refusing_page(error.title, error.detail)
    return Response(
        html, status_code=error.http_status, media_type="text/html", headers={**headers, "x-error-code": error.code}
    )
