"""The composition root of auth: the only place that constructs things."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from libs.common.clock import Clock, SystemClock
from libs.common.database.engine import Database
from libs.common.http.client import OutboundClient
from libs.common.http.operations import Operations
from libs.common.outbox.relay import Relay
from libs.common.runtime import Component, Late, Service
from libs.common.security.principals import ClientTokens, ServiceTokens, every_caller
from libs.common.security.signed import SigningKeys
from libs.common.security.vault import Vault
from services.auth.deps import Deps
from services.auth.providers import Providers
from services.auth.registrations import check_registrations
from services.auth.settings import AuthSettings
from services.auth.states import States
from services.auth.workers import create_job_worker

if TYPE_CHECKING:
    from litestar import Litestar

NAME = "auth"


def build(
    settings: AuthSettings,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    providers: Providers | None = None,
) -> Service:
    """`providers` and `clock` are a test's to bring. Nothing is opened before the service runs."""
    client = OutboundClient(settings.allowed_private_endpoints)
    providers = providers or Providers(client=client, environ=environ)
    check_registrations(environ, providers.all())
    deps = create_deps(settings, clock or SystemClock(), providers)
    components: list[Component] = [
        create_job_worker(deps),
        Relay(deps.db, NAME, settings),
        Late("consumers", "consumers", partial(create_consuming, deps)),
    ]
    return Service(
        create_operations(deps),
        partial(create_app, deps),
        components,
        host=settings.http_host,
        port=settings.http_port,
        on_close=[client.aclose, deps.states.close, deps.db.close],
    )


def describe(settings: AuthSettings) -> Litestar:
    """The routes alone, for the OpenAPI document: nothing is connected."""
    providers = Providers(client=OutboundClient(()), environ={})
    deps = create_deps(settings, SystemClock(), providers)
    return create_app(deps, create_operations(deps))


def create_deps(settings: AuthSettings, clock: Clock, providers: Providers) -> Deps:
    db = Database(NAME, app_url=settings.database_url, worker_url=settings.worker_database_url)
    keys = SigningKeys(Path(settings.service_signing_keys_dir))
    return Deps(
        settings=settings,
        db=db,
        clock=clock,
        vault=Vault(settings.kek()),
        providers=providers,
        states=States(settings.redis_url),
        budget_key=cache(partial(keys.derived, NAME, "accounts of budgets")),
        clients=ClientTokens(Path(settings.service_signing_keys_dir), clock),
    )


def create_consuming(deps: Deps) -> Component:
    from libs.common.bus.consume import create_consumer_component
    from services.auth.consumers import consumers

    return create_consumer_component(consumers, deps, deps.db, deps.settings)


def create_operations(deps: Deps) -> Operations:
    """Redis holds only what may be lost: without it consents wait, and tokens are lent all the same."""

    async def ready() -> dict[str, bool]:
        return {"postgres": await deps.db.ready(), "redis": await deps.states.ready()}

    return Operations(NAME, ready, tolerated=["redis"])


def create_app(deps: Deps, operations: Operations) -> Litestar:
    from libs.common.http.app import create_http
    from services.auth.api import HANDLERS

    services = ServiceTokens(NAME, Path(deps.settings.service_signing_keys_dir))
    callers = every_caller(deps.settings, services=services, clients=deps.clients)
    return create_http(operations, HANDLERS, {"deps": deps}, deps.settings, callers)
