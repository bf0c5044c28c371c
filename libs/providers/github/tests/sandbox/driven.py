"""A client of the played GitHub and of its control routes, in this process."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from libs.providers.github.sandbox import STAND_IN
from libs.sandbox.app import Sandbox
from libs.sandbox.deliveries import Delivery

FIXTURES = Path(__file__).parents[2] / "fixtures"
REPO = "/repos/sluice/sluice"


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


class Driven:
    """A client of the played API and of its control routes."""

    def __init__(self, client: httpx.AsyncClient, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/github/api{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def json(self, path: str) -> Any:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def control(self, verb: str, route: str, **body: Any) -> Any:
        answer = await self.client.request(verb, f"/_control/github/{route}", json=body or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def change(self, op: str, **more: Any) -> Any:
        return await self.control("POST", "change", op=op, **more)

    async def pages(self, path: str) -> list[list[Any]]:
        """Follows next links as they stand, never building one."""
        pages, url = [], f"http://sandbox.test/github/api{path}"
        while url:
            answer = await self.client.get(url)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            url = answer.links.get("next", {}).get("url", "")
        return pages

    async def delivered(self, *ids: int) -> list[Delivery]:
        await self.sandbox.mounts["github"].deliveries.settled()
        return [self.sandbox.mounts["github"].deliveries.one(i) for i in ids]


@asynccontextmanager
async def driving(root: Path, state: Path) -> AsyncIterator[Driven]:
    sandbox = Sandbox(root, state, {"github": STAND_IN})
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(sandbox),
        base_url="http://sandbox.test",
        headers={"authorization": "Bearer ghp_sandbox"},
    )
    try:
        async with client:
            yield Driven(client, sandbox)
    finally:
        await sandbox.close()
