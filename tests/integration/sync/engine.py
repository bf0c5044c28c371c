"""One replica of sync without its loops: a test runs each step itself, and reads what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from litestar import Litestar

from libs.common.clock import SystemClock
from libs.common.database.engine import Database
from libs.common.errors import SluiceError
from libs.common.events import (
    DesiredState,
    Hint,
    IntegrationAuthFailed,
    IntegrationConnected,
    IntegrationDisconnected,
    IntegrationUpdated,
    SourceIndexed,
    SourceIndexFailed,
    WebhookReceived,
    WebhookSubscriptionChanged,
    WorkspaceDeleted,
)
from libs.common.events.source import SourceType
from libs.common.ids import new_id
from libs.common.internal import AccessToken, AccessTokenAsked
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from libs.common.security.principals import ServiceTokens
from services.sync import consumers
from services.sync.app import create_app, create_operations
from services.sync.deps import Deps
from services.sync.settings import SyncSettings
from services.sync.tokens import Tokens
from services.sync.use_cases.asking import sync_integration
from services.sync.use_cases.picking import choose
from services.sync.workers.dirty import DirtyLane
from services.sync.workers.discovery import Discovery
from services.sync.workers.executor import Executor
from services.sync.workers.housekeeping import Cleanup, Reporter
from services.sync.workers.scheduler import Scheduler
from tests.integration.sync.double import MANIFEST, DoubleFacet, World

STATE = DesiredState(
    name="Double", status="active", config={}, features=("issues", "code"), monitor_changes=False,
    polling_enabled=False, polling_interval=15,
)  # fmt: skip


class Broker:
    """Auth's token broker: hands out `token`, and `after_refusal` once that one is refused."""

    def __init__(self) -> None:
        self.token = "token-1"
        self.version = 1
        self.asked: list[AccessTokenAsked] = []
        self.after_refusal: str | SluiceError | None = None
        self.failure: SluiceError | None = None
        self.budget_key = b""

    async def post(
        self, path: str, body: object = None, *, response_type: type[AccessToken], seconds: float = 10.0
    ) -> AccessToken:
        assert isinstance(body, AccessTokenAsked)
        self.asked.append(body)
        if self.failure is not None:
            raise self.failure
        if body.refused_version == self.version and self.after_refusal is not None:
            if isinstance(self.after_refusal, SluiceError):
                raise self.after_refusal
            self.token, self.version = self.after_refusal, self.version + 1
        return self.lent()

    def lent(self) -> AccessToken:
        """All integrations are of one account."""
        return AccessToken(
            token=self.token, version=self.version, expires_at=None, provider="double", config={}, account="1",
            budget_key=self.budget_key,
        )  # fmt: skip


class Engine:
    provider = "double"

    def __init__(
        self, settings: SyncSettings, world: World, broker: Broker, admin: asyncpg.Connection[asyncpg.Record]
    ) -> None:
        self.world, self.broker, self.admin, self.settings = world, broker, admin, settings
        self.workspace, self.integration = f"ws-{new_id()}", new_id()
        self.version = 1
        self.deps = self.replica()
        self.executor = Executor(self.deps)

    def replica(self, settings: SyncSettings | None = None) -> Deps:
        """Another process's view of the same database and provider."""
        facet, manifest = self.facet()
        clock = SystemClock()
        urls = {"app_url": self.settings.database_url, "worker_url": self.settings.worker_database_url}
        return Deps(
            db=Database("sync", **urls, app_pool=6, worker_pool=3), clock=clock, settings=settings or self.settings,
            tokens=Tokens(self.broker, clock), open_http=self.open_http, facet_of=lambda _: facet,
            manifest_of=lambda _: manifest, owner=f"sync-{new_id()}",
        )  # fmt: skip

    def facet(self) -> tuple[SyncFacet, Manifest]:
        return DoubleFacet(), MANIFEST

    def open_http(self, provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        return GrantedHttp(
            self.world, api_url="https://api.double.test", base_url="https://double.test", token=token,
            validators=validators,
        )  # fmt: skip

    async def close(self) -> None:
        await self.deps.db.close()

    def app(self) -> Litestar:
        tokens = ServiceTokens("sync", Path(self.settings.service_signing_keys_dir))
        return create_app(self.deps, tokens, create_operations(self.deps))

    def environment(self) -> dict[str, str]:
        """What `child.py` needs to be another replica, with a copy of the world as it is now."""
        return {
            "CHILD_SETTINGS": msgspec.json.encode(self.settings).decode(),
            "CHILD_REPOS": msgspec.json.encode(self.world.repos).decode(),
        }

    # What others tell

    def connected(self, *resources: str, **given: Any) -> IntegrationConnected:
        state = msgspec.structs.replace(STATE, **given)
        return IntegrationConnected(
            workspace_id=self.workspace, integration_id=self.integration, provider=self.provider, version=self.version,
            state=state, account_id="1", resources=resources,
        )  # fmt: skip

    async def connect(self, *resources: str, **given: Any) -> None:
        await consumers.on_connected(self.connected(*resources, **given), self.deps)

    def hooks(self, version: int, state: Any) -> WebhookSubscriptionChanged:
        return WebhookSubscriptionChanged(
            workspace_id=self.workspace, integration_id=self.integration, version=version, state=state
        )

    async def update(self, **given: Any) -> None:
        self.version += 1
        state = msgspec.structs.replace(STATE, **given)
        event = IntegrationUpdated(
            workspace_id=self.workspace, integration_id=self.integration, provider=self.provider, version=self.version,
            state=state, reason="configured",
        )  # fmt: skip
        await consumers.on_updated(event, self.deps)

    async def disconnect(self) -> None:
        self.version += 1
        event = IntegrationDisconnected(
            workspace_id=self.workspace, integration_id=self.integration, provider=self.provider, version=self.version,
            cause="user",
        )  # fmt: skip
        await consumers.on_disconnected(event, self.deps)

    async def auth_failed(self) -> None:
        self.version += 1
        event = IntegrationAuthFailed(
            workspace_id=self.workspace, integration_id=self.integration, provider=self.provider, version=self.version,
            code="auth_revoked",
        )  # fmt: skip
        await consumers.on_auth_failed(event, self.deps)

    async def erase(self) -> None:
        event = WorkspaceDeleted(workspace_id=self.workspace, version=self.version + 1)
        await consumers.on_workspace_deleted(event, self.deps)

    def delivery(self, external_id: str, stream: str, *keys: str, of: SourceType | None = None) -> WebhookReceived:
        return WebhookReceived(
            workspace_id=self.workspace, integration_id=self.integration, delivery_id=new_id(), provider=self.provider,
            event="changed", hints=(Hint(resource_external_id=external_id, stream=stream, keys=keys, type=of),),
            received_at=self.deps.clock.now(),
        )  # fmt: skip

    async def hint(self, external_id: str, stream: str, *keys: str, of: SourceType | None = None) -> None:
        await consumers.on_webhook(self.delivery(external_id, stream, *keys, of=of), self.deps)

    # What the loops do

    async def discover(self) -> None:
        while await Discovery(self.deps).step():
            pass

    async def work(self) -> int:
        """Until nothing is due; answers how many resources were worked on."""
        done = 0
        while await self.executor.step():
            done += 1
        return done

    async def dirty(self) -> int:
        done = 0
        while await DirtyLane(self.deps).step():
            done += 1
        return done

    async def clean(self) -> None:
        while await Cleanup(self.deps).step():
            pass

    async def report(self) -> None:
        while await Reporter(self.deps).step():
            pass

    async def schedule(self) -> None:
        while await Scheduler(self.deps).step():
            pass

    async def due(self, column: str = "next_poll_at") -> None:
        """Every planned look is due now; what is not planned stays so."""
        await self.admin.execute(
            f"UPDATE poll_schedule SET {column} = now(), due_at = now() WHERE {column} IS NOT NULL"
        )

    async def sync(self, *resources: str, **given: Any) -> None:
        """Connected, discovered and pulled."""
        await self.connect(*resources, **given)
        await self.discover()
        await self.work()

    async def full(self) -> str:
        """A sweep asked for; answers the run."""
        asked = await sync_integration(self.integration, deps=self.deps, workspace=self.workspace, full=True)
        return str(asked.run["id"])

    async def again(self) -> str:
        """A manual sync to its end; answers the run."""
        report = await sync_integration(self.integration, deps=self.deps, workspace=self.workspace)
        await self.work()
        return str(report.run["id"])

    async def choose(self, *references: str) -> None:
        """Exactly these are selected from now on."""
        await choose(self.integration, references, deps=self.deps, workspace=self.workspace)

    def indexed_event(self, source_id: str, version: int) -> SourceIndexed:
        return SourceIndexed(
            workspace_id=self.workspace, source_id=source_id, integration_id=self.integration, version=version, chunks=1
        )

    async def indexed(self, source_id: str, version: int) -> None:
        await consumers.on_indexed([self.indexed_event(source_id, version)], self.deps)

    async def index_failed(self, source_id: str, version: int) -> None:
        event = SourceIndexFailed(
            workspace_id=self.workspace, source_id=source_id, integration_id=self.integration, version=version,
            code="too_large", detail="no",
        )  # fmt: skip
        await consumers.on_index_failed([event], self.deps)

    # What came of it

    async def events(self, topic: str = "source.changed") -> list[dict[str, Any]]:
        rows = await self.admin.fetch("SELECT payload FROM outbox WHERE topic = $1 ORDER BY id", topic)
        return [msgspec.json.decode(row["payload"]) for row in rows]

    async def publish(self) -> None:
        """What the relay does: every row that waits gets the next seq, and a place in a log."""
        await self.admin.execute(
            "WITH fresh AS (SELECT id, row_number() OVER (ORDER BY id) AS at FROM outbox WHERE seq IS NULL),"
            " told AS (UPDATE outbox o SET seq = r.last_seq + fresh.at, published_at = clock_timestamp(),"
            " kafka_partition = 0, kafka_offset = r.last_seq + fresh.at, cluster_id = 'test'"
            " FROM fresh, relay r WHERE o.id = fresh.id)"
            " UPDATE relay SET last_seq = last_seq + (SELECT count(*) FROM fresh)"
        )

    async def forget_events(self) -> None:
        await self.admin.execute("DELETE FROM outbox")

    async def sources(self) -> dict[str, dict[str, Any]]:
        """Live ones by key."""
        rows = await self.admin.fetch("SELECT * FROM source WHERE NOT tombstone ORDER BY external_key")
        return {row["external_key"]: dict(row) for row in rows}

    async def run(self) -> dict[str, Any]:
        """The newest run."""
        row = await self.admin.fetchrow("SELECT * FROM run ORDER BY id DESC LIMIT 1")
        return dict(row or {})

    async def one(self, sql: str, *arguments: Any) -> Any:
        return await self.admin.fetchval(sql, *arguments)
