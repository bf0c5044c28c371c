"""Brings one hook at the provider to what is wanted; runs as a job, is right however often it runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from libs.common.database.transaction import Row
from libs.common.errors import (
    Disposition,
    GrantFailure,
    NotFound,
    RetryAfter,
    SightFailure,
    SluiceError,
)
from libs.common.provider.webhooks import Subscription
from libs.common.security.secrets import Secret
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.testing.crashpoints import crashpoint
from libs.providers import registry
from services.webhooks.deps import Deps
from services.webhooks.domain import HookState, hook_url
from services.webhooks.endpoints import open_secret
from services.webhooks.repository import projections, subscriptions
from services.webhooks.use_cases.lending import ask_provider, resource_of
from services.webhooks.use_cases.report import announce, settle_later

log = get_logger(__name__)

LOOK_AGAIN = timedelta(hours=1)
_settled = counter("webhook_hooks_settled_total", "Hooks brought to what is wanted", ["provider", "outcome"])


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as read before the provider is asked; no transaction is open while it is."""

    row: Row
    secret: Secret

    def to_register(self, public_url: str, seen_since: datetime) -> bool:
        """Also a hook that stands, when it carries an old secret or address, or nobody has looked for long."""
        row = self.row
        return bool(row["wanted"]) and (
            row["hook_id"] is None
            or row["secret_version"] != row["current_version"]
            or row["public_url"] != public_url
            or row["asserted_at"] is None
            or row["asserted_at"] < seen_since
        )

    @property
    def to_remove(self) -> bool:
        return not self.row["wanted"] and self.row["hook_id"] is not None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at the provider after the call."""

    hook_id: str | None
    secret_version: int | None
    state: HookState
    expires_at: datetime | None = None
    public_url: str = ""
    asserted_at: datetime | None = None


async def settle_hook(*, deps: Deps, workspace: str, subscription_id: str) -> None:
    """A failure of the provider is written down as the hook's state and raised, so that the job comes again.

    A provider that is not to be asked now is no failure: the job comes when it may be.
    """
    work = await _read(deps, workspace, subscription_id)
    if work is None:
        return
    try:
        standing = await _ask_provider(deps, work)
    except RetryAfter as wait:
        await _note_wait(deps, work, wait)
        raise
    except SluiceError as error:
        await _note_failure(deps, work, error)
        _settled.labels(work.row["provider"], error.code).inc()
        raise
    crashpoint("webhooks.hook_settled")
    await _note(deps, work, standing)
    _settled.labels(work.row["provider"], standing.state).inc()


async def _read(deps: Deps, workspace: str, subscription_id: str) -> Work | None:
    async with deps.db.transaction(workspace) as tx:
        row = await subscriptions.subscription_work(tx, subscription_id)
        if row is None:
            return None
        return Work(row=row, secret=await open_secret(tx, deps.vault, row, "current_version", "secret_sealed"))


async def _ask_provider(deps: Deps, work: Work) -> Standing:
    row = work.row
    if work.to_register(deps.settings.public_url, seen_since(deps)):
        made = await _register(deps, work)
        await _replace(deps, work, made)
        return Standing(
            hook_id=made.external_id,
            secret_version=row["current_version"],
            state="active",
            expires_at=made.expires_at,
            public_url=deps.settings.public_url,
            asserted_at=deps.clock.now(),
        )
    if work.to_remove:
        await _remove(deps, work)
    if not row["wanted"]:
        return Standing(hook_id=None, secret_version=None, state="removed")
    kept = {name: row[name] for name in ("hook_id", "secret_version", "expires_at", "public_url", "asserted_at")}
    return Standing(**kept, state="active")


def seen_since(deps: Deps) -> datetime:
    """A hook that was asserted before this moment is due."""
    return deps.clock.now() - timedelta(minutes=deps.settings.hook_check_minutes)


async def _replace(deps: Deps, work: Work, made: Subscription) -> None:
    """The new hook stands before the old one goes, and the old one is forgotten only after both: no gap, no orphan."""
    if work.row["hook_id"] not in (None, made.external_id):
        await _remove(deps, work)


async def _register(deps: Deps, work: Work) -> Subscription:
    row, facet = work.row, registry.facet(work.row["provider"], "webhooks")
    url = hook_url(deps.settings.public_url, row["provider"], row["endpoint_id"])
    return await ask_provider(deps, row, lambda http: facet.register(http, resource_of(row), url, work.secret))


async def _remove(deps: Deps, work: Work) -> None:
    """Without a grant or sight of the resource nothing can be removed, and nobody else ever will: that is the end."""
    row, facet = work.row, registry.facet(work.row["provider"], "webhooks")
    try:
        await ask_provider(deps, row, lambda http: facet.unregister(http, resource_of(row), row["hook_id"]))
    except (GrantFailure, SightFailure, NotFound) as error:
        log.warning("hook_left_behind", subscription_id=row["id"], code=error.code)


async def _note(deps: Deps, work: Work, standing: Standing) -> None:
    """What stands is a fact even when the wish has changed meanwhile: that let the job run again already."""
    async with deps.db.transaction(work.row["workspace_id"]) as tx:
        integration = await projections.lock_integration(tx, work.row["integration_id"])
        await subscriptions.settle(
            tx,
            work.row["id"],
            hook_id=standing.hook_id,
            secret_version=standing.secret_version,
            state=standing.state,
            expires_at=standing.expires_at,
            public_url=standing.public_url,
            asserted_at=standing.asserted_at,
        )
        if integration is not None:
            await announce(tx, integration)


async def _note_wait(deps: Deps, work: Work, wait: RetryAfter) -> None:
    async with deps.db.transaction(work.row["workspace_id"]) as tx:
        await subscriptions.note_wait(tx, work.row["id"], code=wait.code, detail=wait.detail)
    _settled.labels(work.row["provider"], wait.code).inc()


async def _note_failure(deps: Deps, work: Work, error: SluiceError) -> None:
    """What passes by itself is retried by the job; what a person must mend is looked at again now and then."""
    async with deps.db.transaction(work.row["workspace_id"]) as tx:
        integration = await projections.lock_integration(tx, work.row["integration_id"])
        await subscriptions.fail(tx, work.row["id"], code=error.code, detail=error.detail)
        if error.disposition is Disposition.ACK:
            await settle_later(tx, work.row["id"], at=deps.clock.now() + LOOK_AGAIN)
        if integration is not None:
            await announce(tx, integration)
