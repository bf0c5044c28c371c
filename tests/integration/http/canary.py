"""A listener that must not be reached, and answers by a script when it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[["Seen"], bytes | Awaitable[bytes]]


class Seen:
    """One request as it came in."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        self.body = body


class Canary:
    def __init__(self) -> None:
        self.connections = 0
        self.seen: list[Seen] = []
        self.port = 0
        self.script: Script = lambda _seen: answer(200, b"ok")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen(head[:-4], b"")
        seen.body = await reader.readexactly(int(seen.headers.get("content-length", "0")))
        self.seen.append(seen)
        made = self.script(seen)
        written = made if isinstance(made, bytes) else await made
        if not written:
            raise ConnectionResetError
        writer.write(written)
        await writer.drain()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def listening(host: str = "127.0.0.1") -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary.handle, host, 0)
    canary.port = server.sockets[0].getsockname()[1]
    try:
        yield canary
    finally:
        server.close()
