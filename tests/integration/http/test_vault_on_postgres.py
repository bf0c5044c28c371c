"""The vault's own SQL, as the app role under forced row-level security."""

from __future__ import annotations

import asyncio
import os

import pytest

from libs.common.database.engine import Database
from libs.common.security.vault import KeyRing, SealBroken, Vault
from tests.integration.bus.fixtures import db, name

__all__ = ["db", "name"]

PLACE = ("credential", "i1", "access_token", 1)


async def test_sealed_value_opens_again_in_its_workspace_alone(db: Database) -> None:
    vault = Vault(os.urandom(32))
    async with db.transaction("w1") as tx:
        blob = await vault.seal(tx, "w1", *PLACE, plaintext=b"token")
    async with db.transaction("w1") as tx:
        assert await vault.open(tx, "w1", *PLACE, blob=blob) == b"token"
    async with db.transaction("w2") as tx:
        for claimed in ("w1", "w2"):
            with pytest.raises(SealBroken):
                await vault.open(tx, claimed, *PLACE, blob=blob)


async def test_racing_first_seals_all_open_and_no_further_key_is_made(db: Database) -> None:
    vault = Vault(os.urandom(32))

    async def seal(plaintext: bytes) -> bytes:
        async with db.transaction("w1") as tx:
            return await vault.seal(tx, "w1", *PLACE, plaintext=plaintext)

    blobs = await asyncio.gather(*(seal(bytes([number])) for number in range(8)))
    async with db.transaction("w1") as tx:
        opened = [await vault.open(tx, "w1", *PLACE, blob=blob) for blob in blobs]
        before = await tx.fetch_value("SELECT count(*) FROM data_key")
    assert opened == [bytes([number]) for number in range(8)]
    await seal(b"later")
    async with db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM data_key") == before


async def test_rotation_rewraps_rows_and_erasing_ends_them(db: Database) -> None:
    old, new = os.urandom(32), os.urandom(32)
    async with db.transaction("w1") as tx:
        blob = await Vault(old).seal(tx, "w1", *PLACE, plaintext=b"token")
    rotating = Vault(KeyRing(new, old))
    async with db.transaction("w1") as tx:
        assert [await rotating.rewrap(tx, "w1"), await rotating.rewrap(tx, "w1")] == [1, 0]
    async with db.transaction("w1") as tx:
        assert await Vault(new).open(tx, "w1", *PLACE, blob=blob) == b"token"
        await rotating.erase(tx, "w1")
        with pytest.raises(SealBroken):
            await rotating.open(tx, "w1", *PLACE, blob=blob)
