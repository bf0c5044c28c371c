"""Inbound endpoints and their sealed secrets."""

from __future__ import annotations

from datetime import datetime

from libs.common.database.transaction import Row, Transaction

ENDPOINT = (
    "id, workspace_id, integration_id, provider, scheme, secret_version, secret_sealed, secret_shown_at,"
    " previous_version, previous_sealed, previous_until, created_at, revoked_at"
)


async def add_endpoint(
    tx: Transaction, *, endpoint_id: str, workspace: str, integration_id: str, provider: str, scheme: str, sealed: bytes
) -> bool:
    """False when the integration has one already."""
    added = await tx.execute(
        """
        INSERT INTO endpoint (id, workspace_id, integration_id, provider, scheme, secret_version, secret_sealed)
        VALUES (:id, :workspace, :integration, :provider, :scheme, 1, :sealed)
        ON CONFLICT (workspace_id, integration_id) DO NOTHING
        """,
        id=endpoint_id,
        workspace=workspace,
        integration=integration_id,
        provider=provider,
        scheme=scheme,
        sealed=sealed,
    )
    return added > 0


async def has_endpoint(tx: Transaction, integration_id: str) -> bool:
    found = await tx.fetch_value("SELECT true FROM endpoint WHERE integration_id = :id", id=integration_id)
    return bool(found)


async def set_revoked(tx: Transaction, integration_id: str, *, revoked: bool) -> None:
    await tx.execute(
        "UPDATE endpoint SET revoked_at = CASE WHEN :revoked THEN coalesce(revoked_at, now()) END"
        " WHERE integration_id = :id",
        id=integration_id,
        revoked=revoked,
    )


async def live_endpoint(tx: Transaction, endpoint_id: str) -> Row | None:
    return await tx.fetch_one(f"SELECT {ENDPOINT} FROM endpoint WHERE id = :id AND revoked_at IS NULL", id=endpoint_id)


async def lock_endpoint_of(tx: Transaction, integration_id: str) -> Row | None:
    return await tx.fetch_one(
        f"SELECT {ENDPOINT} FROM endpoint WHERE integration_id = :id AND revoked_at IS NULL FOR NO KEY UPDATE",
        id=integration_id,
    )


async def put_secret(
    tx: Transaction, endpoint_id: str, *, sealed: bytes, version: int, previous_until: datetime
) -> None:
    """The secret that was current becomes the previous one; what was previous ends now."""
    await tx.execute(
        """
        UPDATE endpoint
           SET previous_sealed = secret_sealed, previous_version = secret_version, previous_until = :until,
               secret_sealed = :sealed, secret_version = :version, secret_shown_at = :shown
         WHERE id = :id
        """,
        id=endpoint_id,
        sealed=sealed,
        version=version,
        until=previous_until,
        shown=None,
    )


async def mark_shown(tx: Transaction, endpoint_id: str) -> None:
    await tx.execute("UPDATE endpoint SET secret_shown_at = now() WHERE id = :id", id=endpoint_id)
