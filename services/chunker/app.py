"""Where the chunker is put together; nothing else constructs anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.common.database.engine import Database
from libs.common.http.client import InternalClient, OutboundClient
from libs.common.http.operations import Operations
from libs.common.jobs import Job, JobWorker
from libs.common.outbox.relay import Relay
from libs.common.runtime import Component, Late, Loop, Service
from libs.common.security.principals import ServiceTokens, every_caller
from libs.providers import registry
from services.chunker.deps import Deps
from services.chunker.embedding.choosing import Embedders, chosen
from services.chunker.embedding.queries import QueryEmbedder
from services.chunker.index.choosing import Beside, chosen_engine
from services.chunker.settings import ChunkerSettings
from services.chunker.summarising.endpoint import Endpoint
from services.chunker.summarising.extracting import Extracting
from services.chunker.use_cases.pruning import PRUNE_ANSWERS, prune_answers
from services.chunker.use_cases.searching import Searcher
from services.chunker.use_cases.summaries import Writer
from services.chunker.use_cases.workspaces import ERASE_REST, erase_rest
from services.chunker.workers.embedding import VectorWorker
from services.chunker.workers.indexing import Indexer
from services.chunker.workers.mirroring import MirrorWorker
from services.chunker.workers.summarising import Summariser

if TYPE_CHECKING:
    from litestar import Litestar

SERVICE = "chunker"
IDLE_S = 0.5
JOBS_IDLE_S = 30.0  # nobody waits for what they do


def build(settings: ChunkerSettings) -> Service:
    db = Database(SERVICE, app_url=settings.database_url, worker_url=settings.worker_database_url)
    tokens = ServiceTokens(SERVICE, Path(settings.service_signing_keys_dir))
    outbound = OutboundClient(settings.allowed_private_endpoints)
    sync = InternalClient(settings.sync_url, tokens, "sync", outbound)
    wake = asyncio.Event()
    indexer = Indexer(
        db=db,
        sync=sync,
        facet_of=lambda provider: registry.facet(provider, "chunks"),
        budget=settings.chunk_tokens,
        batch=settings.index_batch,
        better_summaries=bool(settings.summary_url),
    )
    indexers = [Loop(f"indexer-{n}", indexer.step, idle=IDLE_S, wake=wake) for n in range(settings.index_workers)]
    summariser = Summariser(db=db, writer=_writer(settings, db, outbound))
    summarisers = [Loop(f"summariser-{n}", summariser.step, idle=IDLE_S) for n in range(settings.summary_workers)]
    embedders = chosen(settings, outbound)
    embedding = _embedding(settings, db, embedders)
    beside = chosen_engine(settings, outbound)
    deps = Deps(db=db, index_wanted=wake.set)
    consuming = Late("consumers", "consumers", partial(_consuming, settings, deps))
    return Service(
        _operations(db, embedders, beside),
        partial(_http, settings, db, tokens, embedders, beside),
        [
            *indexers,
            *embedding,
            *_mirroring(settings, db, beside),
            *summarisers,
            jobs_of(db),
            Relay(db, SERVICE, settings),
            consuming,
        ],
        host=settings.http_host,
        port=settings.http_port,
        on_close=[sync.aclose, embedders.aclose, beside.aclose, outbound.aclose, db.close],
    )


def _consuming(settings: ChunkerSettings, deps: Deps) -> Component:
    from libs.common.bus.consume import create_consumer_component
    from services.chunker.consumers import consumers

    return create_consumer_component(consumers, deps, deps.db, settings)


def _embedding(settings: ChunkerSettings, db: Database, embedders: Embedders) -> list[Loop]:
    worker = VectorWorker(db=db, embedders=embedders, batch=settings.embedding_batch)
    count = settings.embedding_workers if embedders.target else 0
    return [Loop(f"embedder-{n}", worker.step, idle=IDLE_S) for n in range(count)]


def jobs_of(db: Database, idle: float = JOBS_IDLE_S) -> JobWorker:
    async def prune(payload: Mapping[str, Any], job: Job) -> None:
        await prune_answers(db, job.workspace_id)

    async def erase(payload: Mapping[str, Any], job: Job) -> None:
        await erase_rest(db, job.workspace_id)

    return JobWorker(db, {PRUNE_ANSWERS: prune, ERASE_REST: erase}, concurrency=1, idle=idle)


def _mirroring(settings: ChunkerSettings, db: Database, beside: Beside) -> list[Loop]:
    if beside.engine is None:
        return []
    worker = MirrorWorker(db=db, engine=beside.engine, wanted=beside.answers)
    return [Loop(f"mirror-{n}", worker.step, idle=IDLE_S) for n in range(settings.opensearch_workers)]


def _writer(settings: ChunkerSettings, db: Database, outbound: OutboundClient) -> Writer:
    if not settings.summary_url:
        return Extracting()
    return Endpoint(
        db=db,
        outbound=outbound,
        url=settings.summary_url,
        model=settings.summary_model,
        api_key=settings.summary_api_key,
        tokens_per_day=settings.summary_tokens_per_day,
    )


def describe(settings: ChunkerSettings) -> Litestar:
    """The routes alone, for the OpenAPI document: nothing is connected."""
    db = Database(SERVICE, app_url=settings.database_url, worker_url=settings.worker_database_url)
    embedders, beside = Embedders(None, {}), Beside()
    return _http(settings, db, None, embedders, beside, _operations(db, embedders, beside))


def _operations(db: Database, embedders: Embedders, beside: Beside) -> Operations:
    """Without its model the service is ready all the same: searches go by words; so it is without its engine."""

    async def ready() -> dict[str, bool]:
        found = {"postgres": await db.ready(), "embedder": await embedders.ready()}
        return found | ({"opensearch": await beside.engine.ready()} if beside.engine else {})

    return Operations(SERVICE, ready, tolerated=["embedder", "opensearch"])


def _http(
    settings: ChunkerSettings,
    db: Database,
    tokens: ServiceTokens | None,
    embedders: Embedders,
    beside: Beside,
    operations: Operations,
) -> Litestar:
    from libs.common.http.app import create_http
    from services.chunker.api import HANDLERS

    resolver = every_caller(settings, services=tokens)

    given = {"db": db, "searcher": _searcher(settings, db, embedders, beside)}
    return create_http(operations, HANDLERS, given, settings, resolver)


def _searcher(settings: ChunkerSettings, db: Database, embedders: Embedders, beside: Beside) -> Searcher:
    queries = QueryEmbedder(db, embedders)
    return Searcher(beside.index(db), fusion=settings.search_fusion, depth=settings.search_depth, queries=queries)
