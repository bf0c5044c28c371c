"""The chunker on a real Postgres; only the sync service that it reads from is a double."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from libs.common.database.engine import Database
from libs.common.errors import DependencyDown
from libs.common.events import SourceChanged
from libs.common.http.client import OutboundClient
from libs.common.ids import new_id
from libs.common.internal import SourceBatch, SourceBatchAsked, SourceItem
from libs.local.postgres import Postgres
from libs.providers import registry
from services.chunker.deps import Deps
from services.chunker.domain.searching import Question
from services.chunker.index.choosing import mirrored
from services.chunker.index.opensearch.connection import connect
from services.chunker.index.opensearch.engine import Engine
from services.chunker.index.postgres import PostgresIndex
from services.chunker.index.protocol import SearchIndex
from services.chunker.summarising.extracting import Extracting
from services.chunker.tables import EVERY_TABLE
from services.chunker.use_cases import indexing, mirroring
from services.chunker.use_cases.searching import Answers, Searcher
from services.chunker.workers.indexing import Indexer
from services.chunker.workers.mirroring import MirrorWorker
from services.chunker.workers.summarising import Summariser
from tests.support.schemas import migrate_schemas

ENGINE_URL = os.environ.get("SLUICE_TEST_OPENSEARCH", "")  # the suite once more, ranked by that engine
collect_ignore = [] if ENGINE_URL else ["test_mirror.py"]
TABLES = ", ".join((*EVERY_TABLE, "embedding_generation", "mirror", "outbox", "job", "erased_workspace"))


class Owner:
    """Plays sync's batch route: what it holds, or that it is away."""

    def __init__(self) -> None:
        self.held: dict[str, SourceItem] = {}
        self.away = False
        self.slow: asyncio.Event | None = None  # its answers wait for this
        self.asked: list[tuple[str, ...]] = []

    async def post(self, path: str, body: SourceBatchAsked, *, response_type: type[SourceBatch]) -> SourceBatch:
        self.asked.append(body.ids)
        if self.away:
            raise DependencyDown("sync is away")
        unknown = (SourceItem(id=asked, state="unknown") for asked in body.ids)
        items = tuple(self.held.get(one.id, one) for one in unknown)
        if self.slow is not None:
            await self.slow.wait()
        return SourceBatch(items=items)


class Rig:
    """One workspace's view: change a source, let the indexer work, ask."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.index_of_all: SearchIndex = PostgresIndex(db)
        self.mirror: MirrorWorker | None = None
        self.searcher = self.searching()
        self.owner = Owner()
        self.wake = asyncio.Event()
        self.deps = Deps(db=db, index_wanted=self.wake.set)
        self.indexer = Indexer(
            db=db,
            sync=self.owner,  # type: ignore[arg-type]
            facet_of=lambda provider: registry.facet(provider, "chunks"),
            budget=256,
            batch=40,
            lease_s=30.0,
        )
        self.summariser = Summariser(db=db, writer=Extracting())

    async def tell(self, source_id: str, version: int, change: Any = "updated", workspace: str = "w1") -> None:
        event = SourceChanged(
            workspace_id=workspace,
            source_id=source_id,
            integration_id="i1",
            resource_id="r1",
            provider="github",
            type="file",
            change=change,
            version=version,
            content_hash=f"h{version}",
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            cause="poll",
        )
        await indexing.want_index(event, self.deps)

    async def put(
        self, content: str, *, path: str = "docs/a.md", source_id: str = "", version: int = 1, **more: Any
    ) -> str:
        """Holds a file at the owner and tells of it; answers its id."""
        source_id = source_id or new_id()
        workspace = more.pop("workspace", "w1")
        item = {
            "id": source_id,
            "state": "present",
            "version": version,
            "integration_id": "i1",
            "resource_id": "r1",
            "provider": "github",
            "type": "file",
            "name": path.rsplit("/", 1)[-1],
            "path": path,
            "content": content,
            "content_type": "text/plain",
            "content_hash": f"h{version}",
        }
        self.owner.held[source_id] = SourceItem(**{**item, **more})
        await self.tell(source_id, version, workspace=workspace)
        return source_id

    def searching(self, **more: Any) -> Searcher:
        return Searcher(self.index_of_all, **more)

    async def index(self) -> None:
        while await self.indexer.step():
            pass
        await self.tell_engine()

    async def tell_engine(self) -> None:
        """Where an engine ranks: all that changed is found there from now on."""
        if self.mirror is not None:
            await mirror_all(self.mirror)

    async def settle(self) -> None:
        """What changed has settled at once; every tree is made anew up to the workspace."""
        worked = True
        while worked:
            async with self.db.queue() as tx:
                await tx.execute("UPDATE summary_wanted SET due_at = now()")
            worked = await self.summariser.step()

    async def search(
        self, query: str, workspace: str = "w1", *, cursor: str | None = None, limit: int = 10, **more: Any
    ) -> Answers:
        return await self.searcher.search(workspace, Question(query=query, **more), cursor=cursor, limit=limit)

    async def names(self, query: str, **more: Any) -> list[str]:
        return [row["name"] for row in (await self.search(query, **more)).rows]

    async def told(self) -> Sequence[Any]:
        async with self.db.queue() as tx:
            return await tx.fetch_all("SELECT topic, CAST(payload AS text) AS payload FROM outbox ORDER BY id")


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    return migrate_schemas(postgres, "chunker")


@pytest.fixture
async def rig(migrated: Postgres) -> AsyncIterator[Rig]:
    admin = await asyncpg.connect(migrated.dsn("postgres"), server_settings={"search_path": "chunker"})
    await admin.execute(f"TRUNCATE {TABLES}")
    await admin.close()
    db = Database("chunker", app_url=migrated.dsn("chunker_app"), worker_url=migrated.dsn("chunker_worker"))
    rig = Rig(db)
    if ENGINE_URL:
        async with mirrored_rig(rig, ENGINE_URL):
            yield rig
    else:
        yield rig
    await db.close()


@asynccontextmanager
async def mirrored_rig(rig: Rig, url: str) -> AsyncIterator[Engine]:
    """Everything that the rig indexes is told to the engine, whose answers it searches."""
    outbound = OutboundClient().for_own(url)
    engine = Engine(connect(url, "", "", outbound), prefix=f"tests-{os.getpid()}", refresh="20ms")
    rig.index_of_all = mirrored(rig.db, engine)
    rig.mirror = MirrorWorker(db=rig.db, engine=engine, lease_s=30.0, looked_s=0.0)
    rig.searcher = rig.searching()
    await mirror_all(rig.mirror)
    yield engine
    rig.mirror.wanted, rig.mirror._settled = False, False
    await rig.mirror.step()
    await outbound.aclose()


async def mirror_all(worker: MirrorWorker) -> None:
    while await worker.step():
        pass
    living = await mirroring.living_mirror(worker.db)
    assert living is not None
    assert living.state == "whole"
    await worker.engine.refresh(living.id)
