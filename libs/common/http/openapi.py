"""The OpenAPI document of a service: what Litestar derives from the handlers, plus our errors and who may call."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from libs.common.http.problems import MEDIA_TYPE, Problem

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_DEFAULT = {"description": "What went wrong, by code", "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}


class Document(JsonRenderPlugin):
    """Serves `openapi_document` at /schema and /schema/openapi.json."""

    def __init__(self) -> None:
        super().__init__(path=["/", "/openapi.json"])

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return msgspec.json.encode(openapi_document(request.app))


def openapi_document(app: Litestar) -> dict[str, Any]:
    """OpenAPI 3.1 as plain values; also read by the generators of the route table and of the clients."""
    document = app.openapi_schema.to_schema()
    problem = msgspec.json.schema(Problem)["$defs"]["Problem"]
    document["components"].setdefault("schemas", {})["Problem"] = problem
    anonymous = _anonymous(app)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                _tell_problems(operation)
                if (path, method) in anonymous:
                    operation["security"] = []
    return document


def _tell_problems(operation: dict[str, Any]) -> None:
    """Litestar describes its own error shape at 400, which no route of ours ever answers."""
    operation["responses"].pop("400", None)
    operation["responses"]["default"] = _DEFAULT


def _anonymous(app: Litestar) -> set[tuple[str, str]]:
    return {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.opt.get("anonymous")
        for method in handler.http_methods
    }
