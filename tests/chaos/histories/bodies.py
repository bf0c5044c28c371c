"""A provider on a real socket whose answers break off: the double of the sync tests behind a server of bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle

from tests.integration.sync.double import Answer, World

KINDS = ("short", "cut", "reset", "drip")
Witness = Callable[[str], Awaitable[None]]


class BytesServer:
    """The first answer to each path with `match` in it breaks, in these `kinds` by turns; `witness` sees each request
    before its answer."""

    def __init__(self, world: World, kinds: Sequence[str], match: str, witness: Witness) -> None:
        self.world, self.match, self.witness = world, match, witness
        self.served: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self._turns = cycle(kinds)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """host:port"""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            await self._talk(reader, writer)
        except ConnectionError:
            pass  # the client hung up on a broken answer, as it should
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = lines[0].split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        answer = self.world.answer(path, headers)
        if self.match in path:
            self.served[path] += 1
            await self.witness(path)
            if self.served[path] == 1:
                kind = next(self._turns)
                self.broken[kind] += 1
                await self._break(writer, answer, kind)
                return
        writer.write(_head(answer, len(answer.body)) + answer.body)
        await writer.drain()

    async def _break(self, writer: asyncio.StreamWriter, answer: Answer, kind: str) -> None:
        half = answer.body[: len(answer.body) // 2]
        if kind == "short":  # whole for HTTP, half of it for JSON
            writer.write(_head(answer, len(half)) + half)
        elif kind == "drip":
            await self._drip(writer, answer)
        else:
            writer.write(_head(answer, len(answer.body)) + half)
        await writer.drain()
        if kind == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _drip(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        writer.write(_head(answer, len(answer.body)))
        for byte in answer.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)


def _head(answer: Answer, size: int) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} OK", f"content-length: {size}", "connection: close"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in answer.headers.items()), "", ""]).encode()
