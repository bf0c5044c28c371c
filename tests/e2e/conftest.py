"""One real stack for the whole suite: four services, broker, database, front door and the sandbox."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.local.client import Control, Gateway
from libs.local.demo.connecting import connect
from libs.local.demo.counting import wait_until_indexed
from libs.local.demo.following import wait_for
from libs.local.demo.wanted import Wanted
from libs.local.endpoints import Endpoints, read_credentials
from libs.local.ports import free_port
from libs.local.state import State
from libs.local.up import down, up
from tests.support.checkout import copy_working_files
from tests.support.front_end import USUAL_PORT, front_end_port

WANTED = Wanted.of({})
SYNC_SECONDS = 90.0
MANY = 1000
# The sandbox plays pages and the kernel: more files of the same kinds would only make every start of this suite longer.
UNPLAYED = "/services/\n/libs/*\n!/libs/common/\n"


@dataclass
class Line:
    """The running line, with GitHub connected in workspace `default`."""

    root: Path
    endpoints: Endpoints
    door: Gateway
    control: Control
    key: str
    page_port: int
    integration: str = ""
    run: dict[str, Any] = field(default_factory=dict)

    def word(self) -> str:
        """A word that stands nowhere else, of one part and without an ending that a stemmer would cut."""
        return "".join(secrets.choice("bcdfghjkmpqvwxz") for _ in range(14))

    def search(self, query: str, **filters: Any) -> list[dict[str, Any]]:
        body = {"query": query, "limit": 5, "filters": filters}
        return list(self.door.post("/v1/workspaces/default/search", body)["items"])

    def names(self, query: str, **filters: Any) -> list[str]:
        return [hit["source"]["path"] or hit["source"]["name"] for hit in self.search(query, **filters)]

    async def found(self, word: str, seconds: float = 40.0) -> dict[str, Any]:
        """The first hit that really holds the word."""
        hits = await eventually(lambda: self.search(word), timeout=seconds)
        assert word in hits[0]["chunk"]["text"]
        return hits[0]

    async def gone(self, word: str, seconds: float = 40.0) -> None:
        await eventually(lambda: not self.search(word), timeout=seconds)

    def sync(self) -> dict[str, Any]:
        run = self.door.post(f"/v1/integrations/{self.integration}/sync")
        return wait_for(self.door, run["id"], SYNC_SECONDS)

    def raw(self, method: str, path: str, *, key: str | None = None, **how: Any) -> httpx.Response:
        """As the front door answers, errors too; `key` "" sends none."""
        headers = {**how.pop("headers", {})}
        if key != "":
            headers["authorization"] = f"Bearer {key or self.key}"
        return httpx.request(method, self.endpoints.gateway + path, headers=headers, timeout=30, **how)

    async def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """As the cluster's administrator: for what only time would do, and for looking behind the services."""
        connection = await asyncpg.connect(read_credentials(State.at(self.root)).admin)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    def sluice(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """The command as a person starts it in that checkout."""
        command = [sys.executable, "-m", "libs.cli", *arguments]
        return subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def asked(self, *arguments: str) -> Any:
        """The JSON that a command writes."""
        done = self.sluice(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's two minutes do not hold the start of the stack, which has limits of its own."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the services logged as wrong meanwhile is the first thing that whoever reads a failure wants."""
    report = yield
    line = getattr(item, "funcargs", {}).get("line")
    if report.when == "call" and report.failed and line is not None:
        report.sections.append(("what the services say", "\n".join(wrong_since(line.root, call.start))))
    return report


def wrong_since(root: Path, start: float) -> Iterator[str]:
    """Warnings and errors in the services' logs, from `start` (seconds since the epoch) on."""
    for log in sorted(State.at(root).logs.glob("*.log")):
        for text in log.read_text(errors="replace").splitlines():
            if '"level":"error"' in text or '"level":"warning"' in text:
                at = datetime.fromisoformat(json.loads(text)["at"]).timestamp()
                if at >= start:
                    yield text


@pytest.fixture(scope="session")
def line() -> Iterator[Line]:
    root = Path(tempfile.mkdtemp(prefix="sluice-e2e-"))
    try:
        copy_working_files(root)
        with (root / ".gitignore").open("a") as ignored:
            ignored.write(UNPLAYED)
        line = _connected(root)
        yield line
        line.door.close()
        line.control.close()
    finally:
        down(root)
        shutil.rmtree(root)


def _connected(root: Path) -> Line:
    door_port = os.environ["SLUICE_PORT"] = str(free_port())  # never the default one: it may be a person's own stack's
    page_port = front_end_port()
    pages = dict.fromkeys((USUAL_PORT, page_port))
    # As an operator sets it; what this file says must reach every service. A page may also lie beside the API.
    origins = ",".join((*(f"http://localhost:{port}" for port in pages), f"http://127.0.0.1:{door_port}"))
    (root / ".env").write_text(f"CORS_ALLOWED_ORIGINS={origins}\nEMBEDDER=none\n")
    endpoints = up(root, sandbox=True)
    assert endpoints.sandbox is not None
    key = Path(endpoints.key_file).read_text().strip()
    line = Line(root, endpoints, Gateway(endpoints.gateway, key), Control(endpoints.sandbox), key, page_port)
    # One person connects many times here; the eleventh token must not end the line's own.
    line.control.ask("POST", "settings", {"tokensPerGrant": MANY})
    done = connect(line.door, WANTED, line.control)
    line.integration = done.integration["id"]
    line.run = wait_for(line.door, done.run["id"], SYNC_SECONDS)
    wait_until_indexed(line.door, "default", SYNC_SECONDS)
    return line


@pytest.fixture
async def hooked(line: Line) -> Line:
    """With the provider's hook registered."""

    def active() -> bool:
        return bool(line.door.get(f"/v1/integrations/{line.integration}")["webhook"]["state"] == "active")

    await eventually(active, timeout=40)
    return line
