"""The operations alone, for a process that serves no surface: the framework would be most of its start."""

from __future__ import annotations

import msgspec

from libs.common.errors import NotFound
from libs.common.http.exchange import Exchange, Receive, Scope, Send
from libs.common.http.operations import PATHS, Operations
from libs.common.http.problems import MEDIA_TYPE, problem_of
from libs.common.telemetry.metrics import CONTENT_TYPE

JSON = "application/json"

Answer = tuple[int, str, bytes]


class Probes:
    """An ASGI 3 application."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await Exchange(scope).run(self._serve, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, kind, body = await self._answer(scope)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope) -> Answer:
        path = scope["path"]
        if scope["method"] != "GET" or path not in PATHS:
            return 404, MEDIA_TYPE, msgspec.json.encode(problem_of(NotFound(), scope["state"]["request_id"]))
        scope["path_template"] = path
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._operations.figures()
        if path == "/healthz":
            return 200, JSON, msgspec.json.encode(self._operations.alive())
        up, told = await self._operations.readiness()
        return 200 if up else 503, JSON, msgspec.json.encode(told)


async def _live(receive: Receive, send: Send) -> None:
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})
