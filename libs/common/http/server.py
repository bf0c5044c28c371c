"""uvicorn as a task of our own loop: it takes no signals, prints nothing, and ends when it is told to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn

from libs.common.errors import ConfigurationError
from libs.common.telemetry.logging import Logger, get_logger

log = get_logger(__name__)

GRACE_SECONDS = 10

Application = Any  # ASGI 3, by the types of two libraries and of none


class HttpServer:
    """The component that serves an application."""

    kind: Literal["http"] = "http"
    name = "http"

    def __init__(self, app: Application, host: str, port: int, on_listening: Callable[[int], None] | None) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._on_listening = on_listening

    async def run(self, stop: asyncio.Event) -> None:
        await serve(self._app, self._host, self._port, log, stop, self._on_listening)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The supervisor alone answers signals: the order of a shutdown is its business."""
        yield


async def serve(
    app: Application,
    host: str,
    port: int,
    log: Logger,
    stop: asyncio.Event | None = None,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serves until `stop` is set or the task is cancelled, then answers what is in flight. Port 0: a free one."""
    listener = _bind(host, port)
    server = _Server(_config(app))
    running = asyncio.create_task(_run(server, listener))
    stopping = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await _until_started(server, running)
        actual = listener.getsockname()[1]
        log.info("http_listening", host=host, port=actual)
        if on_listening is not None:
            on_listening(actual)
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        try:
            await running
        finally:
            listener.close()


def _config(app: Application) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # identity and scheme are never read from headers
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _bind(host: str, port: int) -> socket.socket:
    """Bound here because uvicorn ends the whole process when a port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise ConfigurationError(f"HTTP_PORT {port} cannot be listened on") from None
    listener.setblocking(False)
    return listener


async def _run(server: _Server, listener: socket.socket) -> None:
    """uvicorn leaves by SystemExit when the application's start fails; here that is one failed component."""
    try:
        await server.serve(sockets=[listener])
    except SystemExit:
        raise ConfigurationError("the HTTP application did not start") from None


async def _until_started(server: _Server, running: asyncio.Task[None]) -> None:
    while not server.started:
        done, _ = await asyncio.wait({running}, timeout=0.01)
        if done:
            await running
            raise ConfigurationError("the HTTP application did not start")
