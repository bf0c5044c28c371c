"""How an answer leaves the process, and how the wire is broken on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.sandbox.contract import Answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
TRANSPORT = "sandbox.transport"


class OpenWire(HttpToolsProtocol):
    """Hands the connection to the application, which is the only way to cut it in the middle of an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def send_answer(send: Send, answer: Answer, *, after: float = 0.0) -> None:
    if after:
        await asyncio.sleep(after)
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
    await send({"type": "http.response.body", "body": answer.body})


async def wait_until_gone(receive: Receive, cleared: asyncio.Event) -> None:
    """Returns when the client hangs up or the faults are cleared."""
    waits = {asyncio.ensure_future(receive()), asyncio.ensure_future(cleared.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def break_wire(scope: Scope, send: Send, answer: Answer | None) -> None:
    """Cuts the connection: before any byte, or after half of the answer's body.

    Without a real connection (in-process tests) the cut is the ConnectionResetError that a client would see.
    """
    wire = scope.get("extensions", {}).get(TRANSPORT)
    if answer is not None:
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
    if wire is None:
        raise ConnectionResetError("the sandbox cut the connection")
    transport: asyncio.Transport = wire["transport"]
    if answer is not None:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # No lingering: the peer sees a reset, not an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = {"content-type": "application/json; charset=utf-8", **answer.headers}
    if answer.status not in (204, 304):
        headers["content-length"] = str(len(answer.body))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
