"""The sandbox as a process of its own: cut connections, a kill, and the speed that a bench needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.providers.github.tests.sandbox.driven import REPO

HOUSE = Path(__file__).parents[5]
Start = Callable[[], "Served"]


class Served:
    def __init__(self, root: Path, state: Path) -> None:
        self.told = state / "sandbox.json"
        self.told.unlink(missing_ok=True)
        words = [sys.executable, "-m", "libs.sandbox", "serve", "--root", str(root), "--state", str(state)]
        self.process = subprocess.Popen(words, cwd=HOUSE, env={**os.environ, "PYTHONPATH": str(HOUSE)})

    async def client(self) -> httpx.AsyncClient:
        await eventually(lambda: self.told.exists() and self.told.read_text().endswith("\n"), timeout=20)
        told = json.loads(self.told.read_text())
        return httpx.AsyncClient(base_url=told["url"], headers={"authorization": "token ghp_sandbox"}, timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(played_checkout: Path, tmp_path: Path) -> Iterator[Start]:
    running: list[Served] = []

    def begin() -> Served:
        running.append(Served(played_checkout, tmp_path / "state"))
        return running[-1]

    yield begin
    for served in running:
        served.kill()


async def test_real_connection_is_reset_truncated_or_held(start: Start) -> None:
    async with await start().client() as client:
        for kind in ("reset", "truncate", "hang"):
            answer = await client.post("/_control/github/faults", json={"kind": kind})
            assert answer.status_code == 200
        with pytest.raises(httpx.ReadError):
            await client.get(f"/github/api{REPO}")
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            await client.get(f"/github/api{REPO}")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"/github/api{REPO}", timeout=0.3)
        assert (await client.get(f"/github/api{REPO}")).status_code == 200
        log = (await client.get("/_control/github/requests")).json()["items"]
        assert [entry["fault"] for entry in log] == ["reset", "truncate", "hang", None]


async def test_killed_sandbox_comes_back_with_its_world_and_its_log(start: Start) -> None:
    served = start()
    async with await served.client() as client:
        change = {"op": "open_issue", "title": "Before the kill"}
        number = (await client.post("/_control/github/change", json=change)).json()["number"]
        await client.get(f"/github/api{REPO}/issues/{number}")
    served.kill()
    async with await start().client() as client:
        assert (await client.get(f"/github/api{REPO}/issues/{number}")).json()["title"] == "Before the kill"
        log = (await client.get("/_control/github/requests")).json()["items"]
        assert [entry["seq"] for entry in log] == [1, 2]


async def test_ten_thousand_issues_are_paged_whole_and_once(start: Start) -> None:
    async with await start().client() as client:
        seeded = await client.post("/_control/github/seed", json={"issues": 10_000})
        assert seeded.json()["issues"] == 10_000
        seen: set[int] = set()
        url = "/github/api/repos/sandbox/large/issues?state=all&per_page=100&sort=updated&direction=asc"
        pages = 0
        while url:
            answer = await client.get(url)
            seen |= {issue["id"] for issue in answer.json()}
            pages += 1
            url = answer.links.get("next", {}).get("url", "")
        assert (len(seen), pages) == (10_000, 100)
