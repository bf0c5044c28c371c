"""The first step: what is to be connected is judged and noted, and the browser is given its way to the consent page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest
from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt, Callback, Starter
from services.auth.domain.input import check_redirect_url, not_connected_by
from services.auth.providers import Grant
from services.auth.repository import attempts, audit
from services.auth.use_cases.connect import ConnectAsked, prepare, require_free_type
from services.auth.use_cases.held import lock_live

Remember = Callable[[Transaction, Attempt], Awaitable[None]]


class WayBack(msgspec.Struct, frozen=True, kw_only=True):
    """The opener's page, and where the provider sends the browser; None = as the operator's settings say."""

    redirect_url: str
    callback: Callback | None = None


async def begin_connect(
    asked: ConnectAsked,
    way: WayBack,
    *,
    deps: Deps,
    workspace: str,
    starter: Starter,
    remember: Remember | None = None,
) -> Attempt:
    """`remember` runs in the transaction of the new attempt: an Idempotency-Key is answered with it or not."""
    manifest = deps.providers.available(asked.provider)
    async with deps.db.transaction(workspace) as tx:
        await require_free_type(tx, manifest)
        attempt = _attempt(manifest, way, deps=deps, workspace=workspace, starter=starter)
        prepare(asked, Grant(token="", kind="oauth"), manifest=manifest, workspace=workspace, deps=deps)
        attempt = msgspec.structs.replace(attempt, asked=msgspec.json.encode(asked))
        await _note(tx, attempt)
        if remember is not None:
            await remember(tx, attempt)
    return attempt


async def begin_reconnect(
    way: WayBack, *, deps: Deps, workspace: str, integration_id: str, starter: Starter
) -> Attempt:
    """A new consent for the account that is connected."""
    async with deps.db.transaction(workspace) as tx:
        found = await lock_live(tx, integration_id)
        manifest = deps.providers.known(found.provider)
        attempt = _attempt(manifest, way, deps=deps, workspace=workspace, starter=starter)
        attempt = msgspec.structs.replace(attempt, reconnect=True, integration_id=found.id)
        await _note(tx, attempt)
    return attempt


def _attempt(manifest: Manifest, way: WayBack, *, deps: Deps, workspace: str, starter: Starter) -> Attempt:
    if manifest.oauth is None or "oauth" not in manifest.connect:
        raise not_connected_by("oauth", manifest, "/provider")
    registrations = deps.providers.registrations
    registrations.client(manifest)
    callback = way.callback or registrations.default_callback(manifest)
    now = deps.clock.now()
    return Attempt(
        id=new_id(),
        workspace_id=workspace,
        provider=manifest.id,
        starter=starter,
        ctx=manifest.id,
        callback=callback,
        redirect_uri=registrations.redirect_uri(manifest, callback, deps.settings.public_url),
        redirect_url=way.redirect_url.partition("#")[0],  # its fragment is where a same-tab flow gets its answer
        origin=check_redirect_url(way.redirect_url, deps.settings.cors_allowed_origins),
        created_at=now,
        expires_at=now + timedelta(seconds=deps.settings.oauth_seconds),
    )


async def _note(tx: Transaction, attempt: Attempt) -> None:
    await attempts.add_attempt(tx, attempt)
    await audit.add_audit(
        tx,
        actor=attempt.starter.principal,
        action="oauth.begun",
        integration_id=attempt.integration_id,
        detail={"attempt": attempt.id, "provider": attempt.provider},
    )
