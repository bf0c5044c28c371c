"""What sync knows of integrations: auth's desired state by version, and the state that it observes itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events.integration import DesiredState
from services.sync.domain.content import storable_json

EPOCH_MS = "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)"


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    workspace_id: str
    provider: str
    version: int
    name: str
    status: str
    config: dict[str, Any]
    features: tuple[str, ...]
    monitor_changes: bool
    polling_enabled: bool
    polling_interval: int
    disconnected: bool

    @property
    def works(self) -> bool:
        return self.status == "active" and not self.disconnected


COLUMNS = (
    "id, workspace_id, provider, version, name, status, config, features, monitor_changes, polling_enabled,"
    " polling_interval, disconnected"
)


async def hold(tx: Transaction, integration_id: str) -> Integration | None:
    """Its workspace is not erased before the transaction ends, so that what is written here goes with it."""
    return await find(tx, integration_id, lock="KEY SHARE")


async def find(
    tx: Transaction, integration_id: str, *, lock: Literal["", "UPDATE", "KEY SHARE"] = ""
) -> Integration | None:
    sql = f"SELECT {COLUMNS} FROM known_integration WHERE id = :id{lock and f' FOR {lock}'}"
    row = await tx.fetch_one(sql, id=integration_id)
    return _integration(row) if row else None


def _integration(row: Row) -> Integration:
    return msgspec.convert(dict(row), Integration)


async def of_workspace(tx: Transaction) -> list[Integration]:
    rows = await tx.fetch_all(f"SELECT {COLUMNS} FROM known_integration WHERE NOT disconnected ORDER BY id")
    return [_integration(row) for row in rows]


async def is_erased(tx: Transaction) -> bool:
    sql = "SELECT EXISTS (SELECT FROM erased_workspace WHERE workspace_id = :workspace)"
    return bool(await tx.fetch_value(sql, workspace=tx.workspace))


async def knows_workspace(tx: Transaction) -> bool:
    sql = "SELECT EXISTS (SELECT FROM known_workspace WHERE workspace_id = :workspace)"
    return bool(await tx.fetch_value(sql, workspace=tx.workspace)) and not await is_erased(tx)


async def remember_workspace(tx: Transaction) -> None:
    sql = "INSERT INTO known_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING"
    await tx.execute(sql, workspace=tx.workspace)


WRITE = """
INSERT INTO known_integration (id, workspace_id, provider, version, name, status, config, features, monitor_changes,
  polling_enabled, polling_interval)
VALUES (:id, :workspace, :provider, :version, :name, :status, CAST(:config AS jsonb), :features, :monitor, :polling,
  :interval)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name, status = excluded.status,
  config = excluded.config, features = excluded.features, monitor_changes = excluded.monitor_changes,
  polling_enabled = excluded.polling_enabled, polling_interval = excluded.polling_interval
WHERE known_integration.version < excluded.version AND NOT known_integration.disconnected
"""


async def write(tx: Transaction, *, integration_id: str, provider: str, version: int, state: DesiredState) -> bool:
    """False when what is there is as new."""
    return await tx.execute(
        WRITE,
        id=integration_id,
        workspace=tx.workspace,
        provider=provider,
        version=version,
        name=state.name,
        status=state.status,
        config=storable_json(state.config),
        features=list(state.features),
        monitor=state.monitor_changes,
        polling=state.polling_enabled,
        interval=state.polling_interval,
    ) > 0  # fmt: skip


async def stop(tx: Transaction, integration_id: str, *, version: int) -> bool:
    """The grant is lost; False when a newer word is there."""
    sql = (
        "UPDATE known_integration SET status = 'error', version = :v"
        " WHERE id = :id AND version < :v AND NOT disconnected"
    )
    return await tx.execute(sql, id=integration_id, v=version) > 0


DISCONNECT = """
INSERT INTO known_integration (id, workspace_id, provider, version, status, disconnected)
VALUES (:id, :workspace, :provider, :version, 'inactive', true)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = 'inactive', disconnected = true,
  config = '{}', polling_enabled = false, name = ''
WHERE NOT known_integration.disconnected
"""


async def disconnect(tx: Transaction, *, integration_id: str, provider: str, version: int) -> bool:
    """A tombstone, also of one that was never heard of: a late `connected` must not bring it to life."""
    found = await tx.execute(DISCONNECT, id=integration_id, workspace=tx.workspace, provider=provider, version=version)
    return found > 0


async def write_hooks(
    tx: Transaction, integration_id: str, *, state: str, version: int, last: datetime | None
) -> str | None:
    """The state before; None when as new a word was written already."""
    before: str | None = await tx.fetch_value(
        "UPDATE known_integration SET hook_state = :state, hook_version = :version, last_delivery_at = :last"
        " WHERE id = :id AND hook_version < :version RETURNING old.hook_state",
        id=integration_id,
        state=state,
        version=version,
        last=last,
    )
    return before


# Observed state: absolute values with a version; the reporter tells what is newer than it last told.


def touch_from(source: str = "") -> str:
    """`source`: a FROM of one row, or of none for nothing to tell."""
    return f"""
INSERT INTO observed_state AS o (integration_id, workspace_id, version, change_count, last_polled_at)
SELECT :integration, :workspace, {EPOCH_MS}, CAST(:changes AS bigint), CASE WHEN :polled THEN now() END {source}
ON CONFLICT (integration_id) DO UPDATE SET version = greatest(o.version + 1, excluded.version),
  change_count = o.change_count + excluded.change_count,
  last_polled_at = coalesce(excluded.last_polled_at, o.last_polled_at)
"""


async def touch(tx: Transaction, integration_id: str, *, changes: int = 0, polled: bool = False) -> None:
    given = {"integration": integration_id, "workspace": tx.workspace, "changes": changes, "polled": polled}
    await tx.execute(touch_from(), **given)


async def note_failure(tx: Transaction, integration_id: str, *, failures: int, code: str, detail: str) -> None:
    """`failures` in a row: of the resource that failed most often."""
    await touch(tx, integration_id)
    await tx.execute(
        "UPDATE observed_state SET error_count = greatest(error_count, :failures), last_error = :detail,"
        " last_error_code = :code WHERE integration_id = :id",
        id=integration_id,
        failures=failures,
        code=code,
        detail=detail,
    )


async def note_success(tx: Transaction, integration_id: str) -> None:
    """Clears the last error unless another resource of the integration still fails."""
    await tx.execute(
        "UPDATE observed_state o SET error_count = f.most,"
        " last_error = CASE WHEN f.most > 0 THEN o.last_error END,"
        " last_error_code = CASE WHEN f.most > 0 THEN o.last_error_code END"
        " FROM (SELECT coalesce(max(error_count), 0) AS most FROM resource WHERE integration_id = :id AND selected) f"
        " WHERE o.integration_id = :id",
        id=integration_id,
    )


async def unreported(tx: Transaction, *, most: int) -> list[tuple[str, str]]:
    """(integration, workspace), by the worker role."""
    sql = "SELECT integration_id, workspace_id FROM observed_state WHERE reported_version < version LIMIT :most"
    rows = await tx.fetch_all(sql, most=most)
    return [(row["integration_id"], row["workspace_id"]) for row in rows]


async def take_unreported(tx: Transaction, integration_id: str) -> Row | None:
    """Marks it as told; None when someone else has told it."""
    return await tx.fetch_one(
        "UPDATE observed_state o SET reported_version = version"
        " WHERE integration_id = :id AND reported_version < version"
        " RETURNING version, last_polled_at, change_count, error_count, last_error, last_error_code,"
        " (SELECT min(next_poll_at) FROM poll_schedule p WHERE p.integration_id = o.integration_id) AS next_poll_at",
        id=integration_id,
    )


async def observed(tx: Transaction, integration_id: str) -> Row | None:
    return await tx.fetch_one("SELECT * FROM observed_state WHERE integration_id = :id", id=integration_id)
