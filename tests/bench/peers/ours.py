"""The sync service as it is shipped: its own process, its roles under row-level security, outbox, relay and all."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from libs.common.database.engine import Database
from libs.common.events import DesiredState, IntegrationConnected
from libs.common.ids import new_id
from libs.providers import registry
from services.sync.tables import QUEUE_TABLES, TENANT_TABLES
from services.sync.use_cases.asking import known_integration
from services.sync.use_cases.integrations import connect
from services.sync.use_cases.runs import request_run
from tests.bench.peers.measured import Measured, Meter
from tests.bench.peers.stand_in import REPOSITORY
from tests.bench.peers.watched import Watched

WORKSPACE = "bench"
STATE = DesiredState(
    name="Bench", status="active", config={}, features=("issues",), monitor_changes=False, polling_enabled=False,
    polling_interval=15,
)  # fmt: skip
ENDED = "SELECT state = 'succeeded' AND finished_at IS NOT NULL FROM sync.run ORDER BY id DESC LIMIT 1"
RUNNING = "SELECT extract(epoch FROM finished_at - started_at) FROM sync.run ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True)
class Ours:
    """`environ` is what the service reads; `root` where its process starts; `only` a role of it, None for the whole."""

    name: str
    environ: Mapping[str, str]
    api: str
    admin: asyncpg.Connection[asyncpg.Record]
    db: Database
    root: Path
    log: Path
    only: str | None = None

    async def first(self) -> Measured:
        """Wanted by the event of a connect, as its consumer writes it down; the process finds it and does the rest."""
        await self._forget()
        event = IntegrationConnected(
            workspace_id=WORKSPACE, integration_id=new_id(), provider="github", version=1, state=STATE,
            account_id="1", resources=(REPOSITORY,),
        )  # fmt: skip
        await connect(event, db=self.db, manifest=registry.manifest("github"))
        return await self._measure()

    async def second(self) -> Measured:
        integration = await self.admin.fetchval("SELECT id FROM sync.known_integration")
        async with self.db.transaction(WORKSPACE) as tx:
            await request_run(tx, await known_integration(tx, integration), cause="manual")
        return await self._measure()

    async def seconds_of_run(self) -> float:
        """Of the newest run by the database's clock, without the start of a process."""
        return float(await self.admin.fetchval(RUNNING))

    async def events(self, topic: str) -> int:
        found: int = await self.admin.fetchval("SELECT count(*) FROM sync.outbox WHERE topic = $1", topic)
        return found

    async def _measure(self) -> Measured:
        return await Meter(self.api, self.admin, "sync", "source").measure(self._start, self._ended)

    def _start(self) -> Watched:
        role = () if self.only is None else ("--only", self.only)
        return Watched([sys.executable, "-m", "services.sync", "serve", *role], self.environ, self.root, self.log)

    async def _ended(self) -> bool:
        return bool(await self.admin.fetchval(ENDED))

    async def _forget(self) -> None:
        tables = ", ".join(f"sync.{table}" for table in (*TENANT_TABLES, *QUEUE_TABLES, "outbox"))
        await self.admin.execute(f"TRUNCATE {tables}")


def environment(place: Mapping[str, str], api: str) -> dict[str, str]:
    """`place`: what the parts around it are called and where they answer."""
    return {
        "PATH": os.environ["PATH"], **place, "AUTH_URL": api, "GITHUB_API_URL": api,
        "ALLOWED_PRIVATE_ENDPOINTS": urlsplit(api).netloc, "HTTP_HOST": "127.0.0.1", "LOG_LEVEL": "warning",
    }  # fmt: skip
