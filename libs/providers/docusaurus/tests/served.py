"""The sandbox's site in this process, behind the shape of the outbound client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from libs.common.testing.answered import Answered
from libs.providers.docusaurus.sandbox import DocusaurusStandIn
from libs.sandbox.app import Sandbox

HOST = "http://127.0.0.1:8090"
SITE = f"{HOST}/docusaurus/"


@dataclass
class Served:
    """`asked` holds every path in order. What must not be reached (another host) fails the test."""

    sandbox: Sandbox
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.sandbox), base_url=HOST)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        follow: bool = True,
        largest_body: int | None = None,
    ) -> Answered:
        assert url.startswith(f"{HOST}/"), url
        assert not follow
        answer = await self.client.request(method, url, headers=dict(headers or {}), content=content)
        self.asked.append(url.removeprefix(HOST))
        return Answered(answer.status_code, answer.headers, answer.content, url)

    async def control(self, verb: str, route: str, **body: Any) -> Any:
        answer = await self.client.request(verb, f"/_control/docusaurus/{route}", content=msgspec.json.encode(body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def change(self, op: str, **body: Any) -> Any:
        return await self.control("POST", "change", op=op, **body)

    async def settings(self, **body: Any) -> Any:
        return await self.control("POST", "settings", **body)

    async def truth(self) -> dict[str, dict[str, Any]]:
        """Path inside the mount → what stands there."""
        return {page["path"]: page for page in (await self.control("GET", "truth"))["pages"]}


def open_site(root: Path, state: Path) -> Served:
    return Served(Sandbox(root, state, {"docusaurus": DocusaurusStandIn}))
