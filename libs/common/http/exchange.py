"""What surrounds every request: its id, one span, one line in the log, and the headers of a careful answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from libs.common.http.operations import PATHS
from libs.common.ids import new_id
from libs.common.telemetry.logging import bind, get_logger
from libs.common.telemetry.metrics import counter, histogram
from libs.common.telemetry.tracing import span, use_traceparent

log = get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
# An answer that is sent while the caller still writes is lost to a reset, through a proxy for certain: what is left of
# the body is read first, up to here.
DRAINED_BYTES = 16_000_000
DRAIN_SECONDS = 2.0
HEADERS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-site",
}
# ASGI's own shapes: a process that serves no surface loads no framework for its probes.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_requests = counter("http_requests_total", "Requests answered", ["method", "route", "status"])
_seconds = histogram("http_request_seconds", "Seconds until a request was answered", ["route"])


class _Body:
    """The request's messages as they pass, so that an early refusal can read what is left of them."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def __call__(self) -> Any:
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        left = DRAINED_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended and left > 0:
                    left -= len((await self()).get("body", b""))
        except TimeoutError:
            return  # whoever writes that slowly may lose the answer


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers = {name.lower(): value for name, value in scope["headers"]}
        self.request_id = self._request_id()
        self.status = 0
        self.started = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def run(self, app: Any, receive: Receive, send: Send) -> None:
        body = _Body(receive)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._stamp(message)
                if self.status >= 400:
                    await body.drain()
            await send(message)

        traceparent = self.headers.get(b"traceparent", b"").decode("latin-1")
        with use_traceparent(traceparent), bind(request_id=self.request_id):
            with span("http.in", kind=SpanKind.SERVER) as current:
                try:
                    await app(self.scope, body, stamped)
                finally:
                    self._tell(current)

    def _request_id(self) -> str:
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        return given if REQUEST_ID.fullmatch(given) else new_id()

    def _stamp(self, message: Message) -> None:
        self.status = message["status"]
        given = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"x-request-id"]
        known = {name.lower() for name, _ in given}
        own = [(name, value) for name, value in HEADERS.items() if name not in known]
        message["headers"] = [*given, (b"x-request-id", self.request_id.encode()), *own]

    def _tell(self, current: Span) -> None:
        """Status 0: the caller went away, or the answer broke off before it began."""
        method, route = self.scope["method"], route_of(self.scope)
        seconds = time.perf_counter() - self.started
        current.update_name(f"{method} {route}")
        current.set_attributes(
            {"http.request.method": method, "http.route": route, "http.response.status_code": self.status}
        )
        if self.status >= 500:
            current.set_status(Status(StatusCode.ERROR))
        _requests.labels(method, route, str(self.status)).inc()
        _seconds.labels(route).observe(seconds)
        write = log.debug if route in PATHS and self.status == 200 else log.info
        write("request", method=method, route=route, status=self.status, duration_ms=round(seconds * 1000, 2))


def route_of(scope: Any) -> str:
    """The template, never the path: paths hold ids, and an unknown one could be anything."""
    return str(scope.get("path_template") or "unmatched")
