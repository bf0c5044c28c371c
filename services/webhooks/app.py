"""The composition root of webhooks: everything it uses is made here, once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.common.clock import Clock, SystemClock
from libs.common.database.engine import Database
from libs.common.http.client import InternalClient, OutboundClient
from libs.common.http.operations import Operations
from libs.common.ids import new_id
from libs.common.internal import AccessToken
from libs.common.jobs import Job, JobWorker
from libs.common.limits.ledger import Ledger
from libs.common.limits.shared import Shared
from libs.common.outbox.relay import Relay
from libs.common.provider.budgets import Budgets, credential_of
from libs.common.provider.gate import Gates
from libs.common.provider.http import GrantedHttp, Outbound, check_addresses, provider_urls
from libs.common.provider.manifest import Manifest
from libs.common.runtime import Component, Late, Loop, Service, worker_loop
from libs.common.security.principals import ServiceTokens, every_caller
from libs.common.security.vault import Vault
from libs.providers import registry
from services.webhooks.deps import AuthBroker, BudgetedHttp, Deps, Granted, Tokens
from services.webhooks.endpoints import Endpoints
from services.webhooks.inbox import Inbox
from services.webhooks.settings import WebhooksSettings
from services.webhooks.use_cases.forgetting import FORGET_DELIVERIES, forget_deliveries, forget_old
from services.webhooks.use_cases.hooks import settle_hook
from services.webhooks.use_cases.missed import (
    ASK_FOR_MISSED,
    LOOK_FOR_MISSED,
    ask_for_missed,
    look_for_missed,
    review_missed,
)
from services.webhooks.use_cases.report import SETTLE_HOOK
from services.webhooks.use_cases.review import review_hooks

if TYPE_CHECKING:
    from litestar import Litestar

NAME = "webhooks"
REVIEW_SECONDS = 600.0
MISSED_SECONDS = 10.0
RETENTION_SECONDS = 600.0
PRESENCE_SECONDS = 1.0


def build(settings: WebhooksSettings, *, environ: Mapping[str, str] = os.environ) -> Service:
    """Nothing is opened before the service runs."""
    check_addresses(registry.manifests().values(), environ)
    inside = OutboundClient(settings.allowed_private_endpoints)
    outside = OutboundClient(settings.allowed_private_endpoints, attempts=1)  # repeated by the gate alone
    auth = InternalClient(settings.auth_url, _service_tokens(settings), "auth", inside)
    gates = create_gates(settings, SystemClock())
    deps = create_deps(settings, tokens=AuthBroker(auth), granted=granting(outside, gates, environ))
    return Service(
        create_operations(deps),
        partial(create_app, deps),
        [
            create_job_worker(deps),
            create_hook_review(deps),
            create_missed_review(deps),
            create_retention(deps),
            worker_loop("presence", gates.beat, PRESENCE_SECONDS),
            Relay(deps.db, NAME, settings),
            Late("consumers", "consumers", partial(create_consuming, deps)),
        ],
        host=settings.http_host,
        port=settings.http_port,
        on_close=[auth.aclose, inside.aclose, outside.aclose, gates.close, deps.db.close],
    )


def create_deps(settings: WebhooksSettings, *, tokens: Tokens, granted: Granted, clock: Clock | None = None) -> Deps:
    """What a test brings of its own is given; the rest is as in production."""
    return Deps(
        db=Database(NAME, app_url=settings.database_url, worker_url=settings.worker_database_url),
        clock=clock or SystemClock(),
        settings=settings,
        vault=Vault(settings.kek()),
        tokens=tokens,
        granted=granted,
    )


def create_job_worker(deps: Deps) -> JobWorker:
    async def settle(payload: Mapping[str, Any], job: Job) -> None:
        await settle_hook(deps=deps, workspace=job.workspace_id, subscription_id=payload["subscription_id"])

    async def look(payload: Mapping[str, Any], job: Job) -> None:
        before = datetime.fromisoformat(payload["before"])
        subscription = payload["subscription_id"]
        await look_for_missed(deps=deps, workspace=job.workspace_id, subscription_id=subscription, before=before)

    async def ask(payload: Mapping[str, Any], job: Job) -> None:
        await ask_for_missed(deps=deps, workspace=job.workspace_id, integration_id=payload["integration_id"])

    async def forget(payload: Mapping[str, Any], job: Job) -> None:
        await forget_deliveries(deps=deps, workspace=job.workspace_id, integration_id=payload["integration_id"])

    work = {SETTLE_HOOK: settle, LOOK_FOR_MISSED: look, ASK_FOR_MISSED: ask, FORGET_DELIVERIES: forget}
    return JobWorker(deps.db, work)


def create_hook_review(deps: Deps) -> Loop:
    """Looks at once when it starts: the public address may be another one than before."""
    return worker_loop("hook-review", partial(review_hooks, deps=deps), REVIEW_SECONDS)


def create_missed_review(deps: Deps) -> Loop:
    """Looks at once when it starts: something may have failed while nobody was here."""
    return worker_loop("missed-review", partial(review_missed, deps=deps, started=deps.clock.now()), MISSED_SECONDS)


def create_retention(deps: Deps) -> Loop:
    return worker_loop("retention", partial(forget_old, deps=deps), RETENTION_SECONDS)


def describe(settings: WebhooksSettings) -> Litestar:
    """The routes alone, for the OpenAPI document: nothing is connected."""
    return build(settings).surface()


def create_consuming(deps: Deps) -> Component:
    from libs.common.bus.consume import create_consumer_component
    from services.webhooks.consumers import consumers

    return create_consumer_component(consumers, deps, deps.db, deps.settings)


def create_operations(deps: Deps) -> Operations:
    async def ready() -> dict[str, bool]:
        return {"postgres": await deps.db.ready()}

    return Operations(NAME, ready)


def create_app(deps: Deps, operations: Operations) -> Litestar:
    from libs.common.http.app import create_http
    from services.webhooks.api import HANDLERS

    return create_http(
        operations,
        HANDLERS,
        {
            "deps": deps,
            "endpoints": Endpoints(deps.db, deps.vault, deps.clock),
            "inbox": Inbox(deps.db),
        },
        deps.settings,
        every_caller(deps.settings, services=_service_tokens(deps.settings)),
    )


def create_gates(settings: WebhooksSettings, clock: Clock) -> Gates:
    ledger = Ledger(Shared(settings.redis_url), clock, f"{NAME}-{new_id()}", replicas=settings.sync_replicas)
    return Gates(Budgets(ledger))


def granting(client: Outbound, gates: Gates, environ: Mapping[str, str]) -> Granted:
    def grant(manifest: Manifest, token: AccessToken, *, workspace: str, integration: str) -> BudgetedHttp:
        api_url, base_url = provider_urls(manifest, environ)
        gate = gates.open(credential_of(token, manifest, holder=integration), workspace=workspace, lane="hook")
        return GrantedHttp(client, api_url=api_url, base_url=base_url, token=token.token, gate=gate)

    return grant


def _service_tokens(settings: WebhooksSettings) -> ServiceTokens:
    return ServiceTokens(NAME, Path(settings.service_signing_keys_dir))
