"""Redis over one connection: questions are written as they come, and answered in their order.

A few commands are all that is asked of it. A whole client took longer to load than anything else that workers need.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Sequence
from hashlib import sha1
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis

from libs.common.errors import ConfigurationError, DependencyDown

PORT = 6379
SCHEMES = ("redis", "rediss")
AWAY = "Redis is away; try again"

Word = str | bytes | int


class Script:
    """Redis knows it by its hash once it was sent whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """Connected at the first question. Each raises DependencyDown while Redis is away, refuses it, or has no answer
    within `seconds`. Answers are bytes, integers, None, and lists of them.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._place = urlsplit(url)
        if self._place.scheme not in SCHEMES:
            raise ConfigurationError("REDIS_URL begins with redis:// or rediss://")
        self._seconds = seconds
        self._connecting = asyncio.Lock()
        self._wire: _Wire | None = None

    async def ask(self, *words: Word) -> Any:
        return await self._bounded(self._answer(words))

    async def run(self, script: Script, keys: Sequence[str], said: Sequence[Word]) -> Any:
        return await self._bounded(self._run(script, [len(keys), *keys, *said]))

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    async def _bounded(self, question: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await question
        except TimeoutError:
            await self.close()  # nobody would read what it may still say
            raise DependencyDown(AWAY) from None
        except (OSError, hiredis.HiredisError):
            raise DependencyDown(AWAY) from None

    async def _run(self, script: Script, given: Sequence[Word]) -> Any:
        try:
            return await self._answer(["EVALSHA", script.sha, *given])
        except hiredis.ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            return await self._answer(["EVAL", script.text, *given])

    async def _answer(self, words: Sequence[Word]) -> Any:
        """A connection that ends under the question may have ended long before it: then it is asked once more."""
        try:
            return await (await self._connected()).ask(words)
        except ConnectionError:
            return await (await self._connected()).ask(words)

    async def _connected(self) -> _Wire:
        async with self._connecting:
            if self._wire is None or self._wire.lost:
                self._wire = await self._connect()
            return self._wire

    async def _connect(self) -> _Wire:
        host, port = self._place.hostname or "localhost", self._place.port or PORT
        secure = ssl.create_default_context() if self._place.scheme == "rediss" else None
        _, wire = await asyncio.get_running_loop().create_connection(_Wire, host, port, ssl=secure)
        try:
            for words in self._greeting():
                await wire.ask(words)
        except BaseException:
            wire.close()
            raise
        return wire

    def _greeting(self) -> list[list[Word]]:
        names = [unquote(name) for name in (self._place.username, self._place.password) if name]
        database = self._place.path.strip("/")
        greeting: list[list[Word]] = [["AUTH", *names]] if names else []
        return [*greeting, ["SELECT", database]] if database else greeting


class _Wire(asyncio.Protocol):
    """Whoever does not wait any more has an answer coming all the same, which is read and forgotten."""

    def __init__(self) -> None:
        self.lost = False
        self._reader = hiredis.Reader()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None

    async def ask(self, words: Sequence[Word]) -> Any:
        """Raises ConnectionError, or what Redis said instead of an answer."""
        if self.lost or self._transport is None:
            raise ConnectionResetError
        asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._transport.write(hiredis.pack_command(tuple(words)))  # type: ignore[arg-type]  # its stub knows single words
        return await asked

    def close(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                _settle(self._asked.popleft(), answer)
        except (hiredis.ProtocolError, IndexError):  # not Redis, or an answer to nothing
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        while self._asked:
            _settle(self._asked.popleft(), ConnectionResetError("Redis ended the connection"))


def _settle(asked: asyncio.Future[Any], answer: Any) -> None:
    if asked.done():
        return
    if isinstance(answer, Exception):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
