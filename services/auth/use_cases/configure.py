"""What a user wants of an integration: changed, paused, resumed; every change is a new version of the desired state."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.database.transaction import Transaction
from libs.common.events import IntegrationUpdated
from services.auth.deps import Deps
from services.auth.domain import input as check
from services.auth.domain.integration import Integration, Seen, keep_site, site_of
from services.auth.repository import audit, integrations
from services.auth.use_cases.held import lock_live, see

Reason = Literal["configured", "paused", "resumed", "grant", "renamed"]


class ChangesAsked(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET = stays as it is; `config` and `metadata` are replaced whole; features None = the enabled ones again."""

    name: str | UnsetType = UNSET
    features: tuple[str, ...] | UnsetType | None = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    monitor_changes: bool | UnsetType = UNSET
    polling_enabled: bool | UnsetType = UNSET
    polling_interval: int | UnsetType = UNSET


async def configure_integration(
    asked: ChangesAsked, *, deps: Deps, workspace: str, integration_id: str, actor: str
) -> Seen:
    """Emits nothing when nothing differs."""
    async with deps.db.transaction(workspace) as tx:
        found = await lock_live(tx, integration_id)
        changes = checked_changes(asked, found, deps=deps)
        different = {name: value for name, value in changes.items() if getattr(found, name) != value}
        if different:
            reason: Reason = "renamed" if set(different) == {"name"} else "configured"
            wanted = msgspec.structs.replace(found, **different)
            await save_and_tell(tx, wanted, reason=reason, actor=actor, detail={"changed": sorted(different)})
        return await see(tx, integration_id)


def checked_changes(asked: ChangesAsked, found: Integration, *, deps: Deps) -> dict[str, Any]:
    """Only what was given. Raises InvalidInput with a pointer."""
    manifest = deps.providers.known(found.provider)

    def checked_config(config: dict[str, Any]) -> dict[str, Any]:
        kept = keep_site(config, site_of(found, manifest))
        return deps.providers.clean_config(manifest, check.check_config(kept), deps.clock.now())

    checks: dict[str, Any] = {
        "name": check.check_name,
        "features": lambda chosen: check.check_features(manifest, chosen),
        "config": checked_config,
        "metadata": check.check_metadata,
        "polling_interval": check.check_interval,
    }
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if getattr(asked, name) is not UNSET}
    return {name: checks[name](value) if name in checks else value for name, value in given.items()}


async def pause_integration(*, deps: Deps, workspace: str, integration_id: str, actor: str) -> Seen:
    return await _set_paused(True, deps=deps, workspace=workspace, integration_id=integration_id, actor=actor)


async def resume_integration(*, deps: Deps, workspace: str, integration_id: str, actor: str) -> Seen:
    """Does not heal a lost grant: the status is error again, and reconnect is the way out."""
    return await _set_paused(False, deps=deps, workspace=workspace, integration_id=integration_id, actor=actor)


async def _set_paused(paused: bool, *, deps: Deps, workspace: str, integration_id: str, actor: str) -> Seen:
    async with deps.db.transaction(workspace) as tx:
        found = await lock_live(tx, integration_id)
        if found.paused != paused:
            wanted = msgspec.structs.replace(found, paused=paused)
            await save_and_tell(tx, wanted, reason="paused" if paused else "resumed", actor=actor)
        return await see(tx, integration_id)


async def save_and_tell(
    tx: Transaction, wanted: Integration, *, reason: Reason, actor: str, detail: dict[str, Any] | None = None
) -> Integration:
    saved = await integrations.save_integration(tx, wanted)
    await tx.emit(
        IntegrationUpdated(
            workspace_id=saved.workspace_id,
            integration_id=saved.id,
            provider=saved.provider,
            version=saved.version,
            state=saved.desired(),
            reason=reason,
        )
    )
    await audit.add_audit(tx, actor=actor, action=f"integration.{reason}", integration_id=saved.id, detail=detail)
    return saved
