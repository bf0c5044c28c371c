"""Data keys as rows: the only SQL of the vault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Row(Protocol):
    def __getitem__(self, name: str, /) -> Any: ...


class Tx(Protocol):
    """The part of the kernel's transaction that the vault needs."""

    async def fetch_one(self, sql: str, **parameters: object) -> Row | None: ...
    async def fetch_all(self, sql: str, **parameters: object) -> Sequence[Row]: ...
    async def execute(self, sql: str, **parameters: object) -> Any: ...


class DataKey(msgspec.Struct, frozen=True):
    """A data key as stored: useless without the key-encryption key `kek_id`."""

    id: str
    kek_id: str
    wrapped: bytes


class DataKeyStore:
    """The table `data_key` (database/kernel_tables.py) of the service, inside a transaction of its workspace."""

    async def newest(self, tx: Tx, workspace: str) -> DataKey | None:
        row = await tx.fetch_one(
            "SELECT id, kek_id, wrapped FROM data_key WHERE workspace_id = :workspace"
            " ORDER BY created_at DESC, id DESC LIMIT 1",
            workspace=workspace,
        )
        return None if row is None else _data_key(row)

    async def get(self, tx: Tx, workspace: str, key_id: str) -> DataKey | None:
        row = await tx.fetch_one(
            "SELECT id, kek_id, wrapped FROM data_key WHERE workspace_id = :workspace AND id = :key_id",
            workspace=workspace,
            key_id=key_id,
        )
        return None if row is None else _data_key(row)

    async def add(self, tx: Tx, workspace: str, key: DataKey) -> None:
        await tx.execute(
            "INSERT INTO data_key (workspace_id, id, kek_id, wrapped) VALUES (:workspace, :key_id, :kek_id, :wrapped)",
            workspace=workspace,
            key_id=key.id,
            kek_id=key.kek_id,
            wrapped=key.wrapped,
        )

    async def wrapped_by_others(self, tx: Tx, workspace: str, kek_id: str) -> list[DataKey]:
        rows = await tx.fetch_all(
            "SELECT id, kek_id, wrapped FROM data_key WHERE workspace_id = :workspace AND kek_id <> :kek_id",
            workspace=workspace,
            kek_id=kek_id,
        )
        return [_data_key(row) for row in rows]

    async def replace(self, tx: Tx, workspace: str, old: DataKey, new: DataKey) -> None:
        """Compare and set: a racing rewrap of the same key leaves one of the two, and both are right."""
        await tx.execute(
            "UPDATE data_key SET kek_id = :kek_id, wrapped = :wrapped"
            " WHERE workspace_id = :workspace AND id = :key_id AND kek_id = :old_kek_id",
            workspace=workspace,
            key_id=old.id,
            old_kek_id=old.kek_id,
            kek_id=new.kek_id,
            wrapped=new.wrapped,
        )

    async def erase(self, tx: Tx, workspace: str) -> None:
        """Everything that was ever sealed for the workspace is unreadable from here on, also in backups of its rows."""
        await tx.execute("DELETE FROM data_key WHERE workspace_id = :workspace", workspace=workspace)


def _data_key(row: Row) -> DataKey:
    return DataKey(row["id"], row["kek_id"], bytes(row["wrapped"]))
