"""The composition root of sync: the only place that constructs things."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from libs.common.clock import Clock, SystemClock
from libs.common.database.engine import Database
from libs.common.http.client import InternalClient, OutboundClient
from libs.common.http.operations import Operations
from libs.common.ids import new_id
from libs.common.limits.ledger import Ledger
from libs.common.limits.shared import Shared
from libs.common.outbox.relay import Relay
from libs.common.provider.budgets import Budgets
from libs.common.provider.gate import Gates
from libs.common.provider.http import GrantedHttp, check_addresses, provider_urls
from libs.common.provider.sync import SyncFacet
from libs.common.runtime import Component, Late, Service, worker_loop
from libs.common.security.principals import ServiceTokens, every_caller
from libs.providers import registry
from services.sync.deps import Deps
from services.sync.settings import SyncSettings
from services.sync.tokens import Broker, Tokens
from services.sync.workers.dirty import DirtyLane
from services.sync.workers.discovery import Discovery
from services.sync.workers.executor import LOOK_EVERY, Executor
from services.sync.workers.freshness import COUNT_EVERY, FreshnessGauges
from services.sync.workers.housekeeping import Cleanup, Reporter
from services.sync.workers.scheduler import Scheduler
from services.sync.workers.turns import Turns

if TYPE_CHECKING:
    from litestar import Litestar

NAME = "sync"
LARGEST_BODY = 1_000_000


def facet_of(provider: str) -> SyncFacet:
    return registry.facet(provider, "sync")


def build(settings: SyncSettings, *, environ: Mapping[str, str] = os.environ) -> Service:
    """Nothing is opened before the service runs."""
    check_addresses(registry.manifests().values(), environ)
    inside = OutboundClient(settings.allowed_private_endpoints)
    outside = OutboundClient(settings.allowed_private_endpoints, attempts=1)  # repeated by the gate alone
    tokens = ServiceTokens(NAME, Path(settings.service_signing_keys_dir))
    broker = InternalClient(settings.auth_url, tokens, "auth", inside)
    deps = create_deps(settings, outside, broker, environ=environ)
    return Service(
        create_operations(deps),
        partial(create_app, deps, tokens),
        components(deps),
        host=settings.http_host,
        port=settings.http_port,
        on_close=[
            broker.aclose,
            inside.aclose,
            outside.aclose,
            *(one.close for one in [deps.gates] if one),
            deps.db.close,
        ],
    )


def create_deps(
    settings: SyncSettings,
    client: OutboundClient,
    broker: Broker,
    *,
    environ: Mapping[str, str],
    facets: Callable[[str], SyncFacet] = facet_of,
) -> Deps:
    """`facets` is a test's to bring."""
    clock = SystemClock()
    owner = f"{NAME}-{new_id()}"

    def open_http(provider: str, token: str, validators: dict[str, str]) -> GrantedHttp:
        api_url, base_url = provider_urls(registry.manifest(provider), environ)
        return GrantedHttp(client, api_url=api_url, base_url=base_url, token=token, validators=validators)

    workers = settings.sync_workers
    return Deps(
        db=Database(
            NAME,
            app_url=settings.database_url,
            worker_url=settings.worker_database_url,
            app_pool=workers + settings.sync_hint_workers + 10,
        ),
        clock=clock,
        settings=settings,
        tokens=Tokens(broker, clock),
        open_http=open_http,
        facet_of=facets,
        manifest_of=registry.manifest,
        owner=owner,
        gates=create_gates(settings, clock, owner),
    )


def create_gates(settings: SyncSettings, clock: Clock, owner: str) -> Gates:
    return Gates(Budgets(Ledger(Shared(settings.redis_url), clock, owner, replicas=settings.sync_replicas)))


def components(deps: Deps) -> list[Component]:
    wakes = deps.wakes
    lane, lanes = DirtyLane(deps), range(deps.settings.sync_hint_workers)
    scheduler = Scheduler(deps)
    turns = Turns(deps)
    executors: list[Component] = [Executor(deps, number, turns) for number in range(deps.settings.sync_workers)]
    return [
        Relay(deps.db, NAME, deps.settings),
        *executors,
        *(worker_loop(f"dirty-{number}", lane.step, LOOK_EVERY * len(lanes), wakes.dirty) for number in lanes),
        worker_loop("discovery", Discovery(deps).step, LOOK_EVERY, wakes.discovery),
        worker_loop("scheduler", scheduler.step, 1.0),
        worker_loop("patrol", scheduler.patrol, 1.0),
        worker_loop("reporter", Reporter(deps).step, 0.5, wakes.report),
        worker_loop("freshness", FreshnessGauges(deps).step, COUNT_EVERY),
        worker_loop("cleanup", Cleanup(deps).step, 0.5, wakes.cleanup),
        *(worker_loop("presence", one.beat, 1.0) for one in [deps.gates] if one),
        Late("consumers", "consumers", partial(create_consuming, deps)),
    ]


def create_consuming(deps: Deps) -> Component:
    from libs.common.bus.consume import create_consumer_component
    from services.sync.consumers import consumers

    return create_consumer_component(consumers, deps, deps.db, deps.settings)


def create_operations(deps: Deps) -> Operations:
    """Redis holds only what may be lost: without it each replica spends its own part of a budget."""

    async def ready() -> dict[str, bool]:
        return {"postgres": await deps.db.ready(), "redis": deps.gates is None or deps.gates.shared}

    return Operations(NAME, ready, tolerated=["redis"])


def create_app(deps: Deps, tokens: ServiceTokens, operations: Operations) -> Litestar:
    from libs.common.http.app import create_http
    from services.sync.api import HANDLERS

    callers = every_caller(deps.settings, services=tokens)
    return create_http(operations, HANDLERS, {"deps": deps}, deps.settings, callers, max_body=LARGEST_BODY)


def describe(settings: SyncSettings) -> Litestar:
    """The routes alone, for the OpenAPI document: nothing is connected."""
    return build(settings, environ={}).surface()
