"""The HTTP side of every service is made here, so that errors, authentication and headers are the same everywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from libs.common.errors import Forbidden, InvalidInput, SluiceError, Unauthenticated
from libs.common.http.answers import on_bug, on_http_exception, on_sluice_error
from libs.common.http.edge import EdgeApp
from libs.common.http.exchange import route_of
from libs.common.http.openapi import Document
from libs.common.http.operations import Operations
from libs.common.http.origins import Pages
from libs.common.http.requests import StrictRequest
from libs.common.security.callers import INTERNAL, CallerResolver, Principal, resolve_caller
from libs.common.settings import CommonSettings
from libs.common.telemetry.metrics import CONTENT_TYPE

Hook = Callable[[], Awaitable[None]]

ALLOWED_HEADERS = ["authorization", "content-type", "idempotency-key", "last-event-id", "traceparent", "x-request-id"]
EXPOSED_HEADERS = ["etag", "location", "retry-after", "x-request-id"]
FIGURES = CONTENT_TYPE.removesuffix("; charset=utf-8")  # the framework names it of itself
METHODS: Any = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]


def create_http(
    operations: Operations,
    route_handlers: Sequence[ControllerRouterHandler],
    dependencies: Mapping[str, object],
    settings: CommonSettings,
    resolver: CallerResolver,
    on_startup: Sequence[Hook] = (),
    on_shutdown: Sequence[Hook] = (),
    max_body: int = 2_000_000,
) -> Litestar:
    """`dependencies` are values (or Provide) that handlers ask for by name; `principal` is always among them.

    Every route needs a bearer unless it says `opt={"anonymous": True}`; /internal/ is for service tokens alone.
    """
    return EdgeApp(
        route_handlers=[*route_handlers, *_handlers(operations)],
        dependencies={**_provided(dependencies), "principal": Provide(_principal)},
        guards=[_guard],
        exception_handlers={
            SluiceError: on_sluice_error,
            HTTPException: on_http_exception,
            Exception: on_bug,
        },
        request_class=StrictRequest,
        request_max_body_size=max_body,
        cors_config=_cors(settings),
        openapi_config=_openapi(operations.name),
        logging_config=None,
        state=State({"resolver": resolver, "pages": Pages(settings.public_url)}),
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
    )


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Runs before any argument is read: an unknown caller learns nothing about bodies and parameters."""
    scope = connection.scope
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise InvalidInput("the address holds U+0000", pointer="/")
    route = route_of(scope)
    if handler.opt.get("anonymous") or route.startswith("/schema") or scope.get("method") == "OPTIONS":
        return
    principal = await _resolve(connection)
    if route.startswith("/internal/"):
        principal.require(INTERNAL)
    elif principal.method == "service":
        raise Forbidden


async def _principal(request: Request[Any, Any, Any]) -> Principal:
    return await _resolve(request)


async def _resolve(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    kept = connection.scope["state"].get("principal")
    if isinstance(kept, Principal):
        return kept
    found = await resolve_caller(connection.app.state.resolver, connection.headers.get("authorization"))
    if found.origin is not None and not connection.app.state.pages.sent(connection.headers, found.origin):
        raise Unauthenticated  # a token that left its page
    connection.scope["state"]["principal"] = found
    return found


def _provided(dependencies: Mapping[str, object]) -> dict[str, Provide]:
    return {name: value if isinstance(value, Provide) else _constant(value) for name, value in dependencies.items()}


def _constant(value: object) -> Provide:
    def give() -> Any:
        return value

    return Provide(give, sync_to_thread=False, use_cache=True)


def _handlers(operations: Operations) -> list[ControllerRouterHandler]:
    @get("/healthz", opt={"anonymous": True}, tags=["operations"], name="healthz")
    async def healthz() -> dict[str, str]:
        return operations.alive()

    @get("/readyz", opt={"anonymous": True}, tags=["operations"], name="readyz")
    async def readyz() -> Response[dict[str, object]]:
        up, told = await operations.readiness()
        return Response(told, status_code=200 if up else 503)

    @get("/metrics", opt={"anonymous": True}, tags=["operations"], name="metrics", media_type=FIGURES)
    async def metrics() -> bytes:
        return operations.figures()

    return [healthz, readyz, metrics]


def _cors(settings: CommonSettings) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(settings.cors_allowed_origins),
        allow_methods=METHODS,
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        allow_credentials=False,
        max_age=600,
    )


def _openapi(name: str) -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="An API key or a client token.")
    return OpenAPIConfig(
        title=f"Sluice {name}",
        version="1",
        path="/schema",
        render_plugins=[Document()],
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
    )
