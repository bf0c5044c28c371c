"""One connected integration in a workspace of its own, and the looks from outside that the tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from libs.common.events import (
    DesiredState,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    ResourceDeselected,
    ResourceSelected,
)
from libs.common.ids import new_id
from libs.common.security.signing import hmac_sha256_hex
from services.webhooks.deps import Deps
from services.webhooks.use_cases import follow
from services.webhooks.use_cases.hooks import settle_hook

API_KEY = "slk_a-key-for-tests-only"
AUTH = {"authorization": f"Bearer {API_KEY}"}
RECORDED = Path(__file__).parents[3] / "libs" / "providers" / "github" / "fixtures" / "webhooks"


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


def desired(*, monitor: bool = False, status: Any = "active") -> DesiredState:
    return DesiredState(
        name="GitHub",
        status=status,
        config={},
        features=("issues",),
        monitor_changes=monitor,
        polling_enabled=False,
        polling_interval=15,
    )


class World:
    def __init__(self, deps: Deps, http: httpx.AsyncClient, admin: asyncpg.Connection[Any]) -> None:
        self.deps = deps
        self.http = http
        self.admin = admin
        self.workspace = f"ws-{new_id()}"
        self.integration = new_id()
        self.version = 1
        self.url = ""
        self.secret = ""

    @classmethod
    async def begin(cls, deps: Deps, http: httpx.AsyncClient, admin_dsn: str) -> World:
        admin = await asyncpg.connect(admin_dsn, server_settings={"search_path": "webhooks"})
        world = cls(deps, http, admin)
        await world.connect()
        shown = (await http.get(f"{world.path}/webhook-endpoint", headers=AUTH)).json()
        world.url, world.secret = httpx.URL(shown["url"]).path, shown["secret"]
        return world

    async def end(self) -> None:
        await self.admin.close()

    @property
    def path(self) -> str:
        return f"/v1/integrations/{self.integration}"

    # --- what auth and sync say

    def _next(self) -> dict[str, Any]:
        self.version += 1
        return {
            "workspace_id": self.workspace,
            "integration_id": self.integration,
            "provider": "github",
            "version": self.version,
        }

    async def connect(self, *, monitor: bool = False) -> None:
        event = IntegrationConnected(**self._next(), state=desired(monitor=monitor), account_id="1")
        await follow.follow_integration(event, deps=self.deps)

    async def update(self, *, monitor: bool, status: str = "active") -> IntegrationUpdated:
        event = IntegrationUpdated(**self._next(), state=desired(monitor=monitor, status=status), reason="configured")
        await follow.follow_integration(event, deps=self.deps)
        return event

    async def disconnect(self) -> None:
        await follow.follow_integration(IntegrationDisconnected(**self._next(), cause="user"), deps=self.deps)

    async def select(
        self, name: str = "octo/hello", resource_id: str | None = None, external_id: str = "1"
    ) -> ResourceSelected:
        event = ResourceSelected(
            **self._next(), resource_id=resource_id or new_id(), kind="repository", external_id=external_id, name=name
        )
        await follow.follow_resource(event, deps=self.deps)
        return event

    async def deselect(self, selected: ResourceSelected) -> None:
        event = ResourceDeselected(
            **self._next(), resource_id=selected.resource_id, kind="repository", external_id=selected.external_id
        )
        await follow.follow_resource(event, deps=self.deps)

    # --- what the provider posts

    def headers(
        self, body: bytes, *, event: str = "issues", key: str | None = None, secret: str | None = None
    ) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": key or new_id(),
            "x-hub-signature-256": f"sha256={hmac_sha256_hex((secret or self.secret).encode(), body)}",
        }

    async def post(self, body: bytes, **named: Any) -> httpx.Response:
        return await self.http.post(self.url, content=body, headers=self.headers(body, **named))

    # --- looks from outside

    async def count(self, table: str) -> int:
        return int(await self.admin.fetchval(f"SELECT count(*) FROM {table} WHERE workspace_id = $1", self.workspace))

    async def told(self, topic: str) -> list[dict[str, Any]]:
        rows = await self.admin.fetch(
            "SELECT payload, traceparent FROM outbox WHERE workspace_id = $1 AND topic = $2 ORDER BY id",
            self.workspace,
            topic,
        )
        return [{**msgspec.json.decode(row["payload"]), "traceparent": row["traceparent"]} for row in rows]

    async def hook_states(self) -> list[str]:
        return [event["state"] for event in await self.told("webhook.subscription_changed")]

    async def jobs(self) -> list[str]:
        rows = await self.admin.fetch(
            "SELECT dedupe_key FROM job WHERE workspace_id = $1 ORDER BY run_at", self.workspace
        )
        return [row["dedupe_key"] for row in rows]

    async def run_jobs(self, deps: Deps | None = None) -> None:
        """What the job worker does with each, and the job ends with it."""
        for subscription in await self.jobs():
            await settle_hook(deps=deps or self.deps, workspace=self.workspace, subscription_id=subscription)
        await self.admin.execute("DELETE FROM job WHERE workspace_id = $1", self.workspace)
