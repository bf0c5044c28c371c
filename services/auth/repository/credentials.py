"""Versions of a grant: inserted, read, and emptied; never changed."""

from __future__ import annotations

from datetime import datetime

import msgspec

from libs.common.database.transaction import Transaction
from services.auth.domain.integration import Credential, CredentialKind, Integration


async def next_credential_version(tx: Transaction, integration_id: str) -> int:
    """The caller holds the integration's lock, or has just made it."""
    return int(
        await tx.fetch_value(
            "SELECT greatest(coalesce(max(version), 0) + 1,"
            " CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))"
            " FROM credential WHERE integration_id = :id",
            id=integration_id,
        )
    )


async def add_credential(
    tx: Transaction,
    integration: Integration,
    *,
    version: int,
    kind: CredentialKind,
    access_sealed: bytes | None,
    refresh_sealed: bytes | None,
    expires_at: datetime | None,
) -> None:
    await tx.execute(
        "INSERT INTO credential (workspace_id, integration_id, version, kind, access_sealed, refresh_sealed,"
        " expires_at, account_id, tenant_id)"
        " VALUES (:workspace, :integration, :version, :kind, :access, :refresh, :expires_at, :account_id, :tenant_id)",
        workspace=tx.workspace,
        integration=integration.id,
        version=version,
        kind=kind,
        access=access_sealed,
        refresh=refresh_sealed,
        expires_at=expires_at,
        account_id=integration.account.account_id,
        tenant_id=integration.account.tenant_id,
    )


async def newest_credential(tx: Transaction, integration_id: str) -> Credential | None:
    row = await tx.fetch_one(
        "SELECT version, kind, access_sealed, expires_at, account_id, tenant_id, erased_at IS NOT NULL AS erased"
        " FROM credential WHERE integration_id = :id ORDER BY version DESC LIMIT 1",
        id=integration_id,
    )
    return None if row is None else msgspec.convert(dict(row), Credential)


async def erase_credentials(tx: Transaction, integration_id: str, *, below_version: int | None = None) -> int:
    """Forgets the secrets and keeps the rows; answers how many held one. Without a bound, all of the integration's."""
    return await tx.execute(
        "UPDATE credential SET access_sealed = NULL, refresh_sealed = NULL, erased_at = now()"
        " WHERE integration_id = :id AND erased_at IS NULL"
        " AND (CAST(:below AS bigint) IS NULL OR version < CAST(:below AS bigint))",
        id=integration_id,
        below=below_version,
    )


async def holds_credentials(tx: Transaction) -> bool:
    """Whether anything of the workspace could still be lent for a teardown."""
    return bool(
        await tx.fetch_value(
            "SELECT EXISTS (SELECT FROM credential WHERE workspace_id = :workspace AND erased_at IS NULL)",
            workspace=tx.workspace,
        )
    )


async def consented(tx: Transaction) -> list[str]:
    """Integrations of the workspace whose grant was given by consent and is not erased yet."""
    rows = await tx.fetch_all(
        "SELECT DISTINCT integration_id FROM credential"
        " WHERE workspace_id = :workspace AND kind = 'oauth' AND erased_at IS NULL",
        workspace=tx.workspace,
    )
    return [row["integration_id"] for row in rows]
