"""The real server and a call from one service to another: tokens, traces and typed errors across the wire."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, RawBody

from libs.common.errors import (
    AuthExpired,
    ConfigurationError,
    DependencyDown,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from libs.common.http.app import create_http
from libs.common.http.client import InternalClient, OutboundClient
from libs.common.http.operations import Operations
from libs.common.http.server import serve
from libs.common.http.wire import Wire
from libs.common.runtime import Only, Service, run_service
from libs.common.security.principals import Principal, ServiceTokenResolver, ServiceTokens, make_service_keys
from libs.common.settings import CommonSettings
from libs.common.telemetry.logging import configure_logging, get_logger
from libs.common.telemetry.tracing import configure_tracing, current_trace_id, current_traceparent, span

RAISED: dict[str, Exception] = {
    "expired": AuthExpired(),
    "limited": RateLimited(until=datetime.now(UTC) + timedelta(seconds=60)),
    "input": InvalidInput("no such kind", pointer="/kind"),
    "absent": NotFound(),
    "bug": RuntimeError("canary"),
}


class Asked(Wire):
    provider_id: str


class Answered(Wire):
    service: str
    provider_id: str
    trace_id: str


@post("/internal/v1/tokens", status_code=200)
async def token(data: JSONBody[Asked], principal: NamedDependency[Principal]) -> Answered:
    return Answered(service=principal.service or "", provider_id=data.provider_id, trace_id=current_trace_id() or "")


@get("/internal/v1/raise/{kind:str}")
async def raising(kind: FromPath[str]) -> None:
    raise RAISED[kind]


@post("/hooks", opt={"anonymous": True})
async def hook(body: RawBody) -> dict[str, int]:
    return {"size": len(body)}


def settings(keys: Path) -> CommonSettings:
    return CommonSettings(
        database_url="x",
        worker_database_url="x",
        kafka_bootstrap_servers="x",
        redis_url="x",
        service_signing_keys_dir=str(keys),
    )


async def no_checks() -> dict[str, bool]:
    return {}


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[int]:
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, get_logger("test"), stop, listening.set_result))
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield await listening if listening.done() else await task  # type: ignore[func-returns-value]
    finally:
        stop.set()
        await task


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    make_service_keys(tmp_path, ["auth", "sync"])
    resolver = ServiceTokenResolver(ServiceTokens("auth", tmp_path))
    operations = Operations("auth", no_checks)
    app = create_http(operations, [token, raising, hook], {}, settings(tmp_path), resolver, max_body=10_000)
    async with serving(app) as found:
        yield found


@pytest.fixture
async def internal(port: int, tmp_path: Path) -> AsyncIterator[InternalClient]:
    async with OutboundClient(attempts=1) as client:
        made = InternalClient(f"http://127.0.0.1:{port}", ServiceTokens("sync", tmp_path), "auth", client)
        yield made
        await made.aclose()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process logs during the test."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging("auth", "info", stream)
    yield stream
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


async def test_internal_call_carries_caller_and_trace(internal: InternalClient) -> None:
    configure_tracing("test", "")
    with span("test"):
        sent = current_traceparent() or ""
        found = await internal.post("/internal/v1/tokens", Asked(provider_id="p"), response_type=Answered)
    assert (found.service, found.provider_id) == ("sync", "p")
    assert found.trace_id == sent.split("-")[1]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("expired", AuthExpired),
        ("limited", RateLimited),
        ("input", InvalidInput),
        ("absent", NotFound),
        ("bug", DependencyDown),
    ],
)
async def test_error_of_the_other_service_arrives_as_itself(
    internal: InternalClient, kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await internal.get(f"/internal/v1/raise/{kind}", response_type=Answered)
    assert type(caught.value) is error
    assert getattr(caught.value, "pointer", None) == ("/kind" if kind == "input" else None)


async def test_wrong_audience_is_unauthenticated(port: int, tmp_path: Path) -> None:
    async with OutboundClient() as client:
        wrong = InternalClient(f"http://127.0.0.1:{port}", ServiceTokens("sync", tmp_path), "chunker", client)
        with pytest.raises(Unauthenticated):
            await wrong.get("/internal/v1/raise/absent", response_type=Answered)
        await wrong.aclose()


async def test_absent_service_is_a_dependency_down(tmp_path: Path) -> None:
    make_service_keys(tmp_path, ["sync"])
    async with OutboundClient(attempts=1) as client:
        gone = InternalClient("http://127.0.0.1:1", ServiceTokens("sync", tmp_path), "auth", client)
        with pytest.raises(DependencyDown):
            await gone.post("/internal/v1/tokens", {})
        await gone.aclose()


async def test_unexpected_shape_is_a_dependency_down(internal: InternalClient) -> None:
    with pytest.raises(DependencyDown):
        await internal.post("/internal/v1/tokens", Asked(provider_id="p"), response_type=int)


async def test_body_without_a_length_is_cut_at_the_cap(port: int) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000

    async with httpx.AsyncClient() as client:
        response = await client.post(f"http://127.0.0.1:{port}/hooks", content=endless())
    assert (response.status_code, response.json()["type"]) == (413, "/problems/payload_too_large")


POST = "POST /hooks HTTP/1.1\r\nhost: x\r\n"
SECOND = "GET /internal HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        POST + "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        POST + "content-length: 3\r\ncontent-length: 30\r\n\r\nabc" + SECOND,
        POST + "content-length: +3\r\n\r\nabc",
        POST + "content-length: 3 3\r\n\r\nabc",
        POST + "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + "bad header: 1\r\n\r\n",
        "GET /hooks HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
    ],
)
async def test_smuggled_request_is_refused(port: int, head: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())
    writer.write_eof()
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert raw.startswith(b"HTTP/1.1 400")
    assert raw.count(b"HTTP/1.1 ") == 1


async def test_access_line_holds_the_template_and_never_the_query(port: int, lines: io.StringIO) -> None:
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/internal/v1/raise/canary-path?code=canary-code")
        await client.get(f"http://127.0.0.1:{port}/canary-unknown?state=canary-state")
        await client.get(f"http://127.0.0.1:{port}/healthz")
    text = lines.getvalue()
    told = [
        (line["route"], line["status"]) for line in map(json.loads, text.splitlines()) if line["event"] == "request"
    ]
    assert told == [("/internal/v1/raise/{kind}", 401), ("unmatched", 404)]
    assert "canary" not in text


async def test_crash_of_a_handler_is_logged_by_type_and_place_alone(
    internal: InternalClient, lines: io.StringIO
) -> None:
    with pytest.raises(DependencyDown):
        await internal.get("/internal/v1/raise/bug", response_type=Answered)
    told = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "request_crashed"]
    assert [line["error_type"] for line in told] == ["RuntimeError"]
    assert told[0]["error_frames"][-1].endswith(" raising")
    assert told[0]["request_id"]
    assert "canary" not in lines.getvalue()


@pytest.mark.parametrize(("only", "surface"), [(None, 401), ("http", 401), ("workers", 404), ("consumers", 404)])
async def test_every_process_answers_its_probes(tmp_path: Path, only: Only | None, surface: int) -> None:
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    resolver = ServiceTokenResolver(ServiceTokens("auth", tmp_path))

    def create_app(operations: Operations) -> Litestar:
        return create_http(operations, [token, raising, hook], {}, settings(tmp_path), resolver)

    service = Service(Operations("auth", no_checks), create_app, [], on_listening=listening.set_result)
    task = asyncio.create_task(run_service(service, only, stop=stop))
    base = f"http://127.0.0.1:{await listening}"
    async with httpx.AsyncClient() as client:
        assert (await client.get(base + "/readyz")).json()["checks"] == {"http": True}
        assert (await client.get(base + "/metrics")).status_code == 200
        assert (await client.get(base + "/internal/v1/raise/absent")).status_code == surface
    stop.set()
    await task


async def test_taken_port_fails_as_configuration(port: int, tmp_path: Path) -> None:
    app = Litestar([hook], openapi_config=None)
    with pytest.raises(ConfigurationError):
        await serve(app, "127.0.0.1", port, get_logger("test"))


async def test_failing_start_of_the_application_is_not_the_end_of_the_process() -> None:
    async def broken() -> None:
        raise RuntimeError("no")

    with pytest.raises(ConfigurationError):
        await serve(Litestar([hook], on_startup=[broken]), "127.0.0.1", 0, get_logger("test"))


async def test_answer_in_flight_is_finished_at_the_end() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    @get("/slow")
    async def slow() -> dict[str, bool]:
        entered.set()
        await release.wait()
        return {"done": True}

    async def call(port: int) -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}/slow", timeout=10)).json()

    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(Litestar([slow], openapi_config=None), "127.0.0.1", 0, get_logger("t"), stop, listening.set_result)
    )
    answered = asyncio.create_task(call(await listening))
    await entered.wait()
    stop.set()
    release.set()
    assert await answered == {"done": True}
    await task
