"""One consent from click to connection, step by step: an opener's page, its popup's browser and a provider."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from redis.asyncio import Redis

from tests.integration.auth.provider_double import ProviderDouble

OPENER = "http://localhost:5173/settings/integrations?tab=all"
ENVIRON = {"TRACKER_CLIENT_ID": "tracker-client", "TRACKER_CLIENT_SECRET": "cs-0123456789abcdef-secret"}
TOLD = re.compile(r"const told = (\{.*\});")


@dataclass
class Consent:
    """`api` is the caller that begins and completes; `browser` the popup's, with its own cookies."""

    api: httpx.AsyncClient
    browser: httpx.AsyncClient
    provider: ProviderDouble
    workspace: str
    attempt: str = ""
    location: str = ""
    returned: dict[str, str] = field(default_factory=dict)

    async def begin(self, **body: Any) -> httpx.Response:
        sent = {"provider": "tracker", "redirectUrl": OPENER, **body}
        response = await self.api.post(f"/v1/workspaces/{self.workspace}/connect", json=sent)
        if response.status_code == 201:
            self.attempt = response.json()["attemptId"]
        return response

    async def start(self) -> httpx.Response:
        response = await self.browser.get(f"/v1/oauth/start/{self.attempt}")
        self.location = response.headers.get("location", "")
        return response

    async def consent(self, **body: Any) -> dict[str, str]:
        """Up to the click on "allow"; answers what the provider sends back."""
        assert (await self.begin(**body)).status_code == 201
        assert (await self.start()).status_code == 302
        self.returned = self.provider.consent(self.location)
        return self.returned

    async def callback(self, ctx: str = "tracker", **changes: str) -> httpx.Response:
        return await self.browser.get(f"/v1/oauth/callback/{ctx}", params={**self.returned, **changes})

    async def handle(self, **body: Any) -> str:
        """Up to the popup's message."""
        await self.consent(**body)
        return str(message(await self.callback())["handle"])

    async def reconnect(self, integration: str) -> str:
        """A consent for what is connected already, up to the popup's message."""
        answer = await self.api.post(f"/v1/integrations/{integration}/reconnect", json={"redirectUrl": OPENER})
        assert answer.status_code == 202
        self.attempt = answer.json()["attemptId"]
        await self.start()
        self.returned = self.provider.consent(self.location)
        return str(message(await self.callback())["handle"])

    async def complete(self, **body: Any) -> httpx.Response:
        return await self.api.post("/v1/oauth/complete", json=body)

    async def stands(self, **query: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.api.get(f"/v1/oauth/attempts/{self.attempt}", params=query)).json()
        return found


def told(response: httpx.Response) -> dict[str, Any]:
    """What the page's script would work with."""
    found = TOLD.search(response.text)
    assert found is not None, response.text
    content: dict[str, Any] = json.loads(found.group(1))
    return content


def message(response: httpx.Response) -> dict[str, Any]:
    content: dict[str, Any] = told(response)["message"]
    return content


async def keys(redis: Redis) -> list[bytes]:
    return sorted([key async for key in redis.scan_iter("*")])
