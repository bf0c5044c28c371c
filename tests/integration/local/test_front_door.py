"""The front door as a client meets it: routes, refusals, streams, an absent service."""

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from libs.local.front_door import FrontDoor
from libs.local.ports import free_port
from libs.local.state import LOOPBACK
from tests.support.running import Running
from tests.support.stack import temporary_state

TABLE = """[{"pattern": "/v1/sources/{id}", "service": "sync"}, {"pattern": "/v1/stream", "service": "sync"},
            {"pattern": "/v1/providers", "service": "auth"}]"""
SEEN: list[str] = []
GO_ON = threading.Event()


class Service(BaseHTTPRequestHandler):
    """Answers its path; /v1/stream sends one event, and the second only when the test has seen the first."""

    def do_GET(self) -> None:
        SEEN.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        if self.path == "/v1/stream" and GO_ON.wait(10):
            self.wfile.write(b"data: 2\n\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: the test reads SEEN."""


@contextmanager
def service(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer((LOOPBACK, port), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def door() -> Iterator[FrontDoor]:
    with temporary_state() as state:
        ports = [free_port() for _ in range(3)]
        table = state.home / "routes.json"
        table.write_text(TABLE)
        upstreams = {"sync": f"{LOOPBACK}:{ports[0]}", "auth": f"{LOOPBACK}:{ports[1]}"}
        door = FrontDoor(state, ports[2], upstreams, table)
        process = Running(door.spec(), state.logs)
        with service(ports[0]):
            process.start()
            yield door
        process.stop()


def ask(door: FrontDoor, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(LOOPBACK, door.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    told = answer.status, answer.getheader("Content-Type") or "", answer.read().decode()
    connection.close()
    return told


def test_routed_path_reaches_its_service(door: FrontDoor) -> None:
    assert ask(door, "/v1/sources/7?x=1")[0] == 200
    assert SEEN[-1] == "/v1/sources/7?x=1"


@pytest.mark.parametrize(
    "path",
    ["/internal", "/internal/v1/sources:batch", "/INTERNAL/v1/x", "//internal/x", "/%69nternal/x",
     "/v1/sources/..%2f..%2f..%2finternal", "/v1/sources/../../internal/x", "/internal/../internal/x", "/v1/nothing"],
)  # fmt: skip
def test_internal_and_unknown_paths_are_problems_and_reach_nobody(door: FrontDoor, path: str) -> None:
    SEEN.clear()
    status, kind, body = ask(door, path)
    assert (status, kind) == (404, "application/problem+json")
    assert '"status":404' in body
    assert SEEN == []


def test_event_arrives_while_the_stream_is_open(door: FrontDoor) -> None:
    GO_ON.clear()
    connection = http.client.HTTPConnection(LOOPBACK, door.port, timeout=5)
    connection.request("GET", "/v1/stream")
    answer = connection.getresponse()
    assert answer.read(9) == b"data: 1\n\n"
    GO_ON.set()
    assert answer.read() == b"data: 2\n\n"
    connection.close()


def test_absent_service_is_waited_for_and_then_a_problem(door: FrontDoor) -> None:
    status, kind, _ = ask(door, "/v1/providers")
    assert (status, kind) == (502, "application/problem+json")


async def test_service_that_returns_in_time_answers_the_waiting_request(door: FrontDoor) -> None:
    asking = asyncio.create_task(asyncio.to_thread(ask, door, "/v1/providers"))
    port = int(door.upstreams["auth"].rpartition(":")[2])
    done, _ = await asyncio.wait({asking}, timeout=0.5)
    assert not done
    with service(port):
        assert (await asking)[0] == 200
