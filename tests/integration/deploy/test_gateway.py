"""The gateway as it is shipped, with a certificate, in front of four services that say who was asked."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from libs.local.front_door import program
from libs.local.ports import free_port
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, SERVICES
from tests.support.running import Running

ROOT = Path(__file__).resolve().parents[3]
CADDYFILE = ROOT / "deploy" / "gateway" / "Caddyfile"
METHODS = ("get", "post", "put", "patch", "delete")
SECRET = "canary-code-0123456789"


class Owner(BaseHTTPRequestHandler):
    """Answers its own name, the method, the path and the size of the body, and sends nowhere with a secret.

    Where the path ends with `hasty`, refuses without a look at the body."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        super().__init__(*arguments)  # type: ignore[arg-type]

    def answer(self) -> None:
        if self.path.endswith("hasty"):
            self.send_response(401)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        announced = int(self.headers.get("content-length", 0))
        size = len(self.rfile.read(announced))
        if size < announced:
            return  # the gateway has ended the request: nobody reads an answer
        told = json.dumps({"owner": self.name, "method": self.command, "path": self.path, "size": size}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.send_header("location", f"https://as.example/authorize?state={SECRET}")
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: the answer tells."""


@contextmanager
def owner(name: str, port: int) -> Iterator[None]:
    server = ThreadingHTTPServer((LOOPBACK, port), partial(Owner, name))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Gateway:
    https: int
    http: int
    log: Path
    client: httpx.Client


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    place = tmp_path_factory.mktemp("gateway")
    ports = {name: free_port() for name in (*SERVICES, "https", "http")}
    site = f"https://localhost:{ports['https']}"
    upstreams = {f"{name.upper()}_UPSTREAM": f"{LOOPBACK}:{ports[name]}" for name in SERVICES}
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(place), "XDG_DATA_HOME": str(place), "GATEWAY_SITE": site,
        "GATEWAY_LISTEN_HTTP": str(ports["http"]), "GATEWAY_LISTEN_HTTPS": str(ports["https"]),
        "GATEWAY_LOG_LEVEL": "DEBUG", "GATEWAY_BIND": LOOPBACK, "GATEWAY_PAGES": str(place / "none"), **upstreams,
    }  # fmt: skip
    root = place / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    async def ready() -> bool:
        if not root.exists():
            return False
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=root)) as client:
            try:
                return (await client.get(f"{site}/healthz")).status_code == 200
            except httpx.TransportError:
                return False

    spec = ProcessSpec(
        name="gateway", argv=[str(program()), "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)],
        env=environment, cwd=place, ready=ready, stop_seconds=12.0,
    )  # fmt: skip
    process = Running(spec, place)
    with ExitStack() as running:
        running.callback(process.stop)
        for name in SERVICES:
            if name != "chunker":  # it is away: what the gateway says and writes then is a test
                running.enter_context(owner(name, ports[name]))
        process.start()
        client = httpx.Client(base_url=site, verify=ssl.create_default_context(cafile=root), timeout=20)
        with client:
            yield Gateway(ports["https"], ports["http"], process.log, client)


def operations(service: str) -> list[tuple[str, str]]:
    document = json.loads((ROOT / "docs" / "api" / f"{service}.json").read_text())
    return [
        (method.upper(), path) for path, item in document["paths"].items() for method in METHODS
        if method in item and path.startswith("/v1/")
    ]  # fmt: skip


def filled(path: str) -> str:
    while "{" in path:
        path = f"{path[: path.index('{')]}some.id{path[path.index('}') + 1 :]}"
    return path


@pytest.mark.parametrize("service", ["auth", "webhooks", "sync"])
def test_every_operation_reaches_its_owner(gateway: Gateway, service: str) -> None:
    asked = operations(service)
    assert len(asked) > 5
    answers = [gateway.client.request(method, filled(path)).json() for method, path in asked]
    assert [(told["owner"], told["method"], told["path"]) for told in answers] == [
        (service, method, filled(path)) for method, path in asked
    ]


def test_owner_that_is_away_is_a_problem_and_its_callers_secrets_are_not_written_down(gateway: Gateway) -> None:
    path = filled(operations("chunker")[0][1])
    answer = gateway.client.get(f"{path}?code={SECRET}", headers={"authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    written = gateway.log.read_text()
    assert path in written, "the failure is told"
    assert SECRET not in written


def test_secrets_of_an_answer_are_not_written_down_either(gateway: Gateway) -> None:
    answer = gateway.client.get("/v1/oauth/start/some.id")
    assert SECRET in answer.headers["location"]
    written = gateway.log.read_text()
    assert "/v1/oauth/start/some.id" in written
    assert SECRET not in written


@pytest.mark.parametrize("path", ["/internal/v1/sources:batch", "/internal", "/metrics", "/readyz",
                                  "/schema", "/schema/openapi.json", "/%69nternal/v1/x", "//internal/x"])  # fmt: skip
def test_what_services_tell_each_other_and_operators_is_refused(gateway: Gateway, path: str) -> None:
    answer = gateway.client.post(path) if "internal" in path else gateway.client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "about:blank")


def test_every_answer_has_the_headers_of_a_careful_site(gateway: Gateway) -> None:
    for path in ("/v1/providers", "/nowhere", "/healthz"):
        headers = gateway.client.get(path).headers
        assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "Caddy" not in headers.get("server", "") + headers.get("via", "")


def test_http_is_sent_to_https(gateway: Gateway) -> None:
    answer = httpx.get(f"http://localhost:{gateway.http}/v1/providers?x=1", follow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["location"].startswith("https://localhost")
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(("path", "size", "status"), [
    ("/v1/hooks/github/e", 25_000_000, 200), ("/v1/hooks/github/e", 34_500_000, 413),
    ("/v1/integrations/i", 2_000_000, 200), ("/v1/integrations/i", 8_500_000, 413),
])  # fmt: skip
def test_bodies_end_where_nobody_would_take_them(gateway: Gateway, path: str, size: int, status: int) -> None:
    answer = gateway.client.request("POST" if "hooks" in path else "PATCH", path, content=b"x" * size)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["size"] == size
    else:
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(("path", "size"), [("/v1/integrations/i", 8_500_000), ("/v1/integrations/hasty", 1_000_000)])
def test_rest_of_a_body_that_nobody_read_is_no_request(gateway: Gateway, path: str, size: int) -> None:
    for _ in range(20):
        with suppress(httpx.TransportError):  # refused while it is still sent
            assert gateway.client.patch(path, content=b"x" * size).status_code in (401, 413, 502)
        assert gateway.client.get("/healthz").text == "ok"


def test_configuration_is_valid_and_formatted() -> None:
    for verb in (["validate", "--adapter", "caddyfile"], ["fmt", "--diff"]):
        place = ["--config", str(CADDYFILE)] if verb[0] == "validate" else [str(CADDYFILE)]
        done = subprocess.run([str(program()), *verb, *place], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
