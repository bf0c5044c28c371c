"""The access-token broker: who asks, for whose work, and whether the provider still honours what is lent."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import AuthRevoked, Forbidden, NotFound, ProviderUnavailable
from libs.common.internal import AccessToken, AccessTokenAsked
from services.auth.deps import Deps
from services.auth.domain.integration import Integration
from services.auth.repository import audit, integrations
from services.auth.use_cases.grants import Held, hold_grant, judge, note_verdict


async def lend_token(
    asked: AccessTokenAsked, *, deps: Deps, workspace: str, integration_id: str, service: str
) -> AccessToken:
    """`workspace` is the integration's, `asked.workspace_id` the job's. A refusal of the newest version is verified."""
    if asked.workspace_id != workspace:
        await _refuse_foreign(deps=deps, workspace=workspace, integration_id=integration_id, service=service)
    held = await _read(asked, deps=deps, workspace=workspace, integration_id=integration_id, service=service)
    if not _was_refused(asked, held):
        return _lent(held, deps)
    verdict = await judge(held, deps=deps)
    await note_verdict(verdict, held, deps=deps, workspace=workspace, actor=service)
    if verdict.result == "failed":
        raise AuthRevoked(verdict.detail)
    if verdict.result == "indeterminate":
        raise ProviderUnavailable(verdict.detail)
    # Honoured after all (the refusal was passing), or renewed meanwhile: the newest is read again, and lent.
    again = AccessTokenAsked(workspace_id=workspace, purpose=asked.purpose)
    newest = await _read(again, deps=deps, workspace=workspace, integration_id=integration_id, service=service)
    return _lent(newest, deps)


async def _read(asked: AccessTokenAsked, *, deps: Deps, workspace: str, integration_id: str, service: str) -> Held:
    """Each hand-out leaves an audit row in the transaction that reads the secret."""
    async with deps.db.transaction(workspace) as tx:
        integration = await integrations.find_integration(tx, integration_id)
        if integration is None:
            raise NotFound
        _require_lendable(integration, asked)
        held = await hold_grant(tx, integration, deps=deps)
        if not _was_refused(asked, held):
            await _note_lent(tx, held, asked, service)
        return held


def _require_lendable(integration: Integration, asked: AccessTokenAsked) -> None:
    """After a disconnect a grant is lent for nothing but the teardown."""
    if asked.purpose == "teardown":
        return
    if integration.disconnected_at is not None:
        raise AuthRevoked("this integration is disconnected")
    if integration.grant_code is not None:
        raise AuthRevoked("the provider refused this grant; reconnect the integration")


def _was_refused(asked: AccessTokenAsked, held: Held) -> bool:
    return asked.refused_version is not None and asked.refused_version >= held.version


async def _note_lent(tx: Transaction, held: Held, asked: AccessTokenAsked, service: str) -> None:
    detail = {"purpose": asked.purpose, "credential_version": held.version}
    await audit.add_audit(tx, actor=service, action="token.lent", integration_id=held.integration.id, detail=detail)


async def _refuse_foreign(*, deps: Deps, workspace: str, integration_id: str, service: str) -> None:
    """A job of one workspace asked for another's token: told to the owner's audit log, and never to the asker."""
    async with deps.db.transaction(workspace) as tx:
        await audit.add_audit(
            tx, actor=service, action="token.lent", outcome="foreign_workspace", integration_id=integration_id
        )
    raise Forbidden("this integration is not of the workspace that the job belongs to")


def _lent(held: Held, deps: Deps) -> AccessToken:
    """Two integrations of one account are one account, in whatever workspaces they are."""
    account = held.integration.account
    return AccessToken(
        token=held.token,
        version=held.version,
        expires_at=held.expires_at,
        provider=held.integration.provider,
        config=held.integration.config,
        account=f"{account.account_id}\n{account.tenant_id}" if account.account_id else "",
        budget_key=deps.budget_key(),
    )
