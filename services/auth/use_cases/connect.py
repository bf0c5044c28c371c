"""Connecting: a grant that the provider has honoured becomes an integration; here by token or a site's address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.errors import InvalidInput
from libs.common.events import IntegrationConnected
from libs.common.ids import new_id
from libs.common.provider.auth import Account
from libs.common.provider.manifest import Manifest
from services.auth.deps import Deps
from services.auth.domain import input as check
from services.auth.domain.integration import Integration, Observation, Seen
from services.auth.domain.refusals import TypeTaken
from services.auth.providers import Grant
from services.auth.repository import audit, integrations
from services.auth.use_cases.held import require_workspace
from services.auth.vaulting import keep_grant

Remember = Callable[[Transaction, Seen], Awaitable[None]]


class ConnectAsked(msgspec.Struct, frozen=True, kw_only=True):
    """None = the provider's default."""

    provider: str
    token: str = ""
    url: str = ""
    name: str | None = None
    features: tuple[str, ...] | None = None
    config: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    monitor_changes: bool = False
    polling_enabled: bool = False
    polling_interval: int | None = None
    resources: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ConnectAsked(provider={self.provider!r})"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is valid in itself; only the provider can say more."""

    manifest: Manifest
    grant: Grant
    integration: Integration
    resources: tuple[str, ...]


async def connect_integration(
    asked: ConnectAsked, *, deps: Deps, workspace: str, actor: str, remember: Remember | None = None
) -> Seen:
    """`remember` runs in the transaction of the new integration: an Idempotency-Key is answered with it or not."""
    manifest = deps.providers.available(asked.provider)
    async with deps.db.transaction(workspace) as tx:
        await require_free_type(tx, manifest)
    draft = prepare(asked, _grant(asked, manifest, deps), manifest=manifest, workspace=workspace, deps=deps)
    account = await deps.providers.accept(manifest, draft.grant)
    async with deps.db.transaction(workspace) as tx:
        seen = await store_connection(tx, draft, account, deps=deps, actor=actor)
        if remember is not None:
            await remember(tx, seen)
    return seen


async def require_free_type(tx: Transaction, manifest: Manifest) -> None:
    await require_workspace(tx)
    if await integrations.type_is_taken(tx, manifest.id):
        raise _taken(manifest)


def prepare(asked: ConnectAsked, grant: Grant, *, manifest: Manifest, workspace: str, deps: Deps) -> Draft:
    """Everything that can be judged without asking the provider. Raises InvalidInput with a pointer."""
    interval = manifest.polling_interval_minutes if asked.polling_interval is None else asked.polling_interval
    config = check.check_config({**asked.config, "url": grant.url} if grant.url else asked.config, grant.token)
    now = deps.clock.now()
    integration = Integration(
        id=new_id(),
        workspace_id=workspace,
        provider=manifest.id,
        name=check.check_name(manifest.name if asked.name is None else asked.name),
        config=deps.providers.clean_config(manifest, config, now),
        features=check.check_features(manifest, asked.features),
        metadata=check.check_metadata(asked.metadata, grant.token),
        monitor_changes=asked.monitor_changes,
        polling_enabled=asked.polling_enabled,
        polling_interval=check.check_interval(interval),
        version=0,
        account=Account(account_id="", account_name=""),
        created_at=now,
        updated_at=now,
    )
    return Draft(
        manifest=manifest, grant=grant, integration=integration, resources=check.check_resources(asked.resources)
    )


def _grant(asked: ConnectAsked, manifest: Manifest, deps: Deps) -> Grant:
    for given, kind in ((asked.token, "token"), (asked.url, "url")):
        if given and kind not in manifest.connect:
            raise check.not_connected_by(kind, manifest, f"/{kind}")
    if not asked.token and "url" not in manifest.connect:
        raise InvalidInput(f"{manifest.name} needs a token here, or an OAuth connect", pointer="/token")
    if not asked.url and "token" not in manifest.connect:
        raise InvalidInput(f"{manifest.name} needs the address of the site", pointer="/url")
    if asked.token:
        deps.providers.facet(manifest).validate_token(check.check_token(asked.token))
    url = check.check_url(asked.url) if asked.url else ""
    return Grant(token=asked.token, url=url, kind="token" if asked.token else "none")


async def store_connection(tx: Transaction, draft: Draft, account: Account, *, deps: Deps, actor: str) -> Seen:
    """The integration, its sealed grant and the event in one transaction. Raises TypeTaken for the later of two."""
    await require_workspace(tx)
    made = await integrations.add_integration(tx, msgspec.structs.replace(draft.integration, account=account))
    if made is None:
        raise _taken(draft.manifest)
    await keep_grant(tx, made, draft.grant, deps=deps)
    await audit.add_audit(
        tx, actor=actor, action="integration.connected", integration_id=made.id, detail={"provider": made.provider}
    )
    await tx.emit(connected(made, resources=draft.resources))
    return Seen(integration=made, observed=Observation())


def connected(made: Integration, *, resources: tuple[str, ...] = (), again: bool = False) -> IntegrationConnected:
    return IntegrationConnected(
        workspace_id=made.workspace_id,
        integration_id=made.id,
        provider=made.provider,
        version=made.version,
        state=made.desired(),
        account_id=made.account.account_id,
        account_name=made.account.account_name,
        tenant_id=made.account.tenant_id,
        scopes=made.account.scopes,
        resources=resources,
        reconnected=again,
    )


def _taken(manifest: Manifest) -> TypeTaken:
    return TypeTaken(
        f"{manifest.name} is connected in this workspace already; configure or disconnect that integration",
        pointer="/provider",
    )
