"""Is the grant alive: asked by a user, or because a service was refused; and a new token for the same account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.errors import AuthRevoked, GrantFailure, InvalidInput
from libs.common.events import IntegrationAuthFailed
from libs.common.provider.auth import Account
from libs.common.provider.manifest import Manifest
from services.auth.deps import Deps
from services.auth.domain.input import check_token, not_connected_by
from services.auth.domain.integration import Integration, Seen, same_account, site_of
from services.auth.domain.refusals import OtherAccount
from services.auth.providers import INDETERMINATE, Grant
from services.auth.repository import audit, credentials, integrations
from services.auth.use_cases.configure import save_and_tell
from services.auth.use_cases.connect import connected
from services.auth.use_cases.held import lock_live, see
from services.auth.vaulting import keep_grant, open_token

Result = Literal["passed", "failed", "indeterminate"]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A grant read out of the vault, with the version that it had."""

    integration: Integration
    version: int
    expires_at: datetime | None
    token: str

    def __repr__(self) -> str:
        return f"Held(integration={self.integration.id!r}, version={self.version})"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    result: Result
    code: str | None = None
    detail: str = ""


async def check_integration(*, deps: Deps, workspace: str, integration_id: str, actor: str) -> Verdict:
    """A provider that is away leaves the status as it is: indeterminate is not a failure."""
    async with deps.db.transaction(workspace) as tx:
        held = await hold_grant(tx, await lock_live(tx, integration_id), deps=deps)
    verdict = await judge(held, deps=deps)
    await note_verdict(verdict, held, deps=deps, workspace=workspace, actor=actor)
    return verdict


async def hold_grant(tx: Transaction, integration: Integration, *, deps: Deps) -> Held:
    credential = await credentials.newest_credential(tx, integration.id)
    if credential is None:
        raise AuthRevoked("this integration has no credential; reconnect it")
    token = await open_token(tx, deps=deps, integration=integration, credential=credential)
    return Held(integration=integration, version=credential.version, expires_at=credential.expires_at, token=token)


async def judge(held: Held, *, deps: Deps) -> Verdict:
    """Asks the provider; no transaction is open."""
    manifest = deps.providers.known(held.integration.provider)
    try:
        await deps.providers.whose(manifest, Grant(token=held.token, url=site_of(held.integration, manifest)))
    except GrantFailure as error:
        return Verdict(result="failed", code=error.code, detail=f"{manifest.name} refuses the grant; reconnect it")
    except INDETERMINATE as error:
        return Verdict(result="indeterminate", code=error.code, detail=error.detail)
    return Verdict(result="passed")


async def note_verdict(verdict: Verdict, held: Held, *, deps: Deps, workspace: str, actor: str) -> None:
    """Only for the version that was judged: a newer token is not to blame for an older one."""
    async with deps.db.transaction(workspace) as tx:
        found = await integrations.lock_integration(tx, held.integration.id)
        newest = await credentials.newest_credential(tx, held.integration.id)
        if found is None or found.disconnected_at is not None or newest is None or newest.version != held.version:
            return
        if verdict.result == "failed" and found.grant_code is None:
            await _lose(tx, found, code=verdict.code or AuthRevoked.code, actor=actor)
        elif verdict.result == "passed" and found.grant_code is not None:
            wanted = msgspec.structs.replace(found, grant_code=None)
            await save_and_tell(tx, wanted, reason="grant", actor=actor)


async def _lose(tx: Transaction, found: Integration, *, code: str, actor: str) -> None:
    saved = await integrations.save_integration(tx, msgspec.structs.replace(found, grant_code=code))
    await tx.emit(
        IntegrationAuthFailed(
            workspace_id=saved.workspace_id,
            integration_id=saved.id,
            provider=saved.provider,
            version=saved.version,
            code=code,
        )
    )
    await audit.add_audit(
        tx, actor=actor, action="grant.lost", outcome=code, integration_id=saved.id, detail={"provider": saved.provider}
    )


async def reconnect_integration(token: str, *, deps: Deps, workspace: str, integration_id: str, actor: str) -> Seen:
    """A new token of the same account; everything that was synced stays. Raises OtherAccount (409) for another one."""
    async with deps.db.transaction(workspace) as tx:
        before = await lock_live(tx, integration_id)
    manifest = deps.providers.known(before.provider)
    grant = _new_grant(token, manifest, before, deps=deps)
    account = await deps.providers.accept(manifest, grant)
    async with deps.db.transaction(workspace) as tx:
        return await renew_grant(tx, integration_id, account, grant, deps=deps, actor=actor)


def _new_grant(token: str, manifest: Manifest, before: Integration, *, deps: Deps) -> Grant:
    if token and "token" not in manifest.connect:
        raise not_connected_by("token", manifest, "/token")
    if token:
        deps.providers.facet(manifest).validate_token(check_token(token))
        return Grant(token=token, url=site_of(before, manifest))
    if "url" not in manifest.connect:
        raise InvalidInput(f"{manifest.name} needs a token here, or an OAuth connect", pointer="/token")
    return Grant(token="", url=site_of(before, manifest), kind="none")


async def renew_grant(
    tx: Transaction, integration_id: str, account: Account, grant: Grant, *, deps: Deps, actor: str
) -> Seen:
    """Everything that was synced stays. Raises OtherAccount unless it is the very same account."""
    found = await lock_live(tx, integration_id)
    if not same_account(found.account, account):
        raise OtherAccount(
            "this grant belongs to another account; disconnect to connect another account",
            pointer="/token" if grant.kind == "token" else None,
        )
    wanted = msgspec.structs.replace(found, account=account, grant_code=None, failing=False, paused=False)
    saved = await integrations.save_integration(tx, wanted)
    version = await keep_grant(tx, saved, grant, deps=deps)
    await credentials.erase_credentials(tx, saved.id, below_version=version)
    await tx.emit(connected(saved, again=True))
    await audit.add_audit(tx, actor=actor, action="integration.reconnected", integration_id=saved.id)
    return await see(tx, saved.id)
