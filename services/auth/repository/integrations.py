"""Rows of integrations: the desired state, locked before it is changed."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events import IntegrationStatus
from libs.common.provider.auth import Account
from services.auth.domain.integration import Integration, Observation, Seen

NEXT_VERSION = "greatest(version + 1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))"
INTEGRATION_COLUMNS = """
i.id, i.workspace_id, i.provider, i.name, i.config, i.features, i.metadata, i.monitor_changes, i.polling_enabled,
i.polling_interval, i.version, i.paused, i.failing, i.grant_code, i.account_id, i.account_name, i.tenant_id, i.scopes,
i.created_at, i.updated_at, i.disconnected_at
"""
OBSERVATION_COLUMNS = ", ".join(f"o.{name}" for name in Observation.__struct_fields__)
SEEN = (
    f"SELECT {INTEGRATION_COLUMNS}, {OBSERVATION_COLUMNS}"
    " FROM integration i JOIN observation o ON o.integration_id = i.id"
)


async def type_is_taken(tx: Transaction, provider: str) -> bool:
    return bool(
        await tx.fetch_value(
            "SELECT true FROM integration WHERE workspace_id = :workspace AND provider = :provider"
            " AND disconnected_at IS NULL",
            workspace=tx.workspace,
            provider=provider,
        )
    )


async def add_integration(tx: Transaction, wanted: Integration) -> Integration | None:
    """None when a live integration of this type is there: the unique index decides, also between racing callers."""
    row = await tx.fetch_one(
        f"""
        INSERT INTO integration AS i (id, workspace_id, provider, name, config, features, metadata, monitor_changes,
            polling_enabled, polling_interval, version, status, account_id, account_name, tenant_id, scopes)
        VALUES (:id, :workspace, :provider, :name, CAST(:config AS jsonb), CAST(:features AS jsonb),
            CAST(:metadata AS jsonb), :monitor_changes, :polling_enabled, :polling_interval,
            CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint), :status, :account_id, :account_name,
            :tenant_id, CAST(:scopes AS jsonb))
        ON CONFLICT (workspace_id, provider) WHERE disconnected_at IS NULL DO NOTHING
        RETURNING {INTEGRATION_COLUMNS}
        """,
        workspace=tx.workspace,
        provider=wanted.provider,
        **_changeable(wanted),
    )
    if row is None:
        return None
    await tx.execute(
        "INSERT INTO observation (workspace_id, integration_id) VALUES (:workspace, :id)",
        workspace=tx.workspace,
        id=wanted.id,
    )
    return _integration(row)


async def lock_integration(tx: Transaction, integration_id: str) -> Integration | None:
    row = await tx.fetch_one(
        f"SELECT {INTEGRATION_COLUMNS} FROM integration i WHERE i.id = :id FOR UPDATE OF i",
        id=integration_id,
    )
    return None if row is None else _integration(row)


async def find_integration(tx: Transaction, integration_id: str) -> Integration | None:
    row = await tx.fetch_one(
        f"SELECT {INTEGRATION_COLUMNS} FROM integration i WHERE i.id = :id",
        id=integration_id,
    )
    return None if row is None else _integration(row)


async def lock_live_integrations(tx: Transaction) -> list[Integration]:
    rows = await tx.fetch_all(
        f"SELECT {INTEGRATION_COLUMNS} FROM integration i WHERE i.disconnected_at IS NULL ORDER BY i.id FOR UPDATE OF i"
    )
    return [_integration(row) for row in rows]


async def save_integration(tx: Transaction, wanted: Integration) -> Integration:
    """A new version of the desired state; the caller holds the row's lock."""
    row = await tx.fetch_one(
        f"""
        UPDATE integration AS i SET name = :name, config = CAST(:config AS jsonb), features = CAST(:features AS jsonb),
            metadata = CAST(:metadata AS jsonb), monitor_changes = :monitor_changes, polling_enabled = :polling_enabled,
            polling_interval = :polling_interval, version = {NEXT_VERSION}, status = :status, paused = :paused,
            failing = :failing, grant_code = :grant_code, account_id = :account_id, account_name = :account_name,
            tenant_id = :tenant_id, scopes = CAST(:scopes AS jsonb), updated_at = now(),
            disconnected_at = :disconnected_at
        WHERE i.id = :id RETURNING {INTEGRATION_COLUMNS}
        """,
        paused=wanted.paused,
        failing=wanted.failing,
        grant_code=wanted.grant_code,
        disconnected_at=wanted.disconnected_at,
        **_changeable(wanted),
    )
    if row is None:
        raise LookupError("an integration was saved without its lock")
    return _integration(row)


async def save_failing(tx: Transaction, wanted: Integration) -> None:
    """Observed, so the version of the desired state stays."""
    await tx.execute(
        "UPDATE integration SET failing = :failing, status = :status WHERE id = :id",
        failing=wanted.failing,
        status=wanted.status,
        id=wanted.id,
    )


async def find_seen(tx: Transaction, integration_id: str) -> Seen | None:
    row = await tx.fetch_one(f"{SEEN} WHERE i.id = :id", id=integration_id)
    return None if row is None else _seen(row)


async def list_seen(tx: Transaction, *, status: IntegrationStatus | None, after: str, limit: int) -> list[Seen]:
    """Live ones only, oldest first: ids are made in the order of time."""
    rows = await tx.fetch_all(
        f"{SEEN} WHERE i.workspace_id = :workspace AND i.disconnected_at IS NULL AND i.id > :after"
        " AND (CAST(:status AS text) IS NULL OR i.status = :status) ORDER BY i.id LIMIT :limit",
        workspace=tx.workspace,
        after=after,
        status=status,
        limit=limit,
    )
    return [_seen(row) for row in rows]


def _changeable(wanted: Integration) -> dict[str, object]:
    return {
        "id": wanted.id,
        "name": wanted.name,
        "config": _json(wanted.config),
        "features": _json(wanted.features),
        "metadata": _json(wanted.metadata),
        "monitor_changes": wanted.monitor_changes,
        "polling_enabled": wanted.polling_enabled,
        "polling_interval": wanted.polling_interval,
        "status": wanted.status,
        "account_id": wanted.account.account_id,
        "account_name": wanted.account.account_name,
        "tenant_id": wanted.account.tenant_id,
        "scopes": _json(wanted.account.scopes),
    }


def _seen(row: Row) -> Seen:
    observed = {name: row[name] for name in Observation.__struct_fields__}
    return Seen(integration=_integration(row), observed=msgspec.convert(observed, Observation))


def _integration(row: Row) -> Integration:
    values = dict(row)
    account = {name: values[name] for name in ("account_id", "account_name", "tenant_id")}
    for name in ("config", "features", "metadata"):
        values[name] = _parsed(values[name])
    values["account"] = Account(**account, scopes=tuple(_parsed(values["scopes"])))
    return msgspec.convert(values, Integration)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _parsed(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value
