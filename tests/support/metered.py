"""A provider that counts by its own clock: who called when, how many in any window, and who came too early."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left

import msgspec


class Call(msgspec.Struct, frozen=True):
    """`at` is when it arrived here, `asked` when the caller asked for what let it through, by the same clock.

    It was let through at some moment between the two: what was forbidden before `asked` and until `at` was broken.
    """

    at: float
    asked: float
    probe: bool
    status: int


class Metered:
    """HTTP/1.1 on loopback, bare: `limit` calls in any `window` seconds, the rest is 429.

    `down`: everything is 503. `retry_after`: the next call alone is told to come back after so many seconds.
    """

    def __init__(self, limit: int, window: float, *, seconds: float = 0.005) -> None:
        self.limit, self.window, self.seconds = limit, window, seconds
        self.calls: list[Call] = []
        self.down = False
        self.retry_after = 0
        self.refused_at: list[float] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Metered:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    def most_in_a_window(self, *, after: float = 0.0) -> int:
        """Of any window, wherever it begins."""
        times = sorted(call.at for call in self.calls if call.at >= after)
        return max((at + 1 - bisect_left(times, times[at] - self.window) for at in range(len(times))), default=0)

    def used(self, *, before: float) -> float:
        """A share of the limit: how soon, in windows, each call that was spent was spent again."""
        times = sorted(call.at for call in self.calls if call.at < before)
        gaps = [late - early for early, late in zip(times, times[self.limit :], strict=False)]
        return self.window * len(gaps) / sum(gaps)

    def between(self, start: float, end: float) -> list[Call]:
        return [call for call in self.calls if start <= call.at < end]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                asked, probe = next(line[9:].split() for line in lines if line.startswith("x-asked: "))
                status, extra = self._answer(time.time(), float(asked), probe == "True")
                await asyncio.sleep(self.seconds)
                writer.write(f"HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n{extra}\r\nok".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, now: float, asked: float, probe: bool) -> tuple[int, str]:
        status, extra = 200, ""
        if self.down:
            status = 503
        elif self.retry_after:
            status, extra = 429, f"retry-after: {self.retry_after}\r\n"
            self.retry_after = 0
            self.refused_at.append(now)
        elif len([call for call in self.calls if call.at > now - self.window]) >= self.limit:
            status, extra = 429, "retry-after: 1\r\n"
        self.calls.append(Call(now, asked, probe, status))
        return status, extra
