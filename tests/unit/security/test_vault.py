"""A sealed value opens where it was sealed and nowhere else (RELIABILITY A15, A16)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pytest

from libs.common.errors import ConfigurationError
from libs.common.security.repository import DataKey, DataKeyStore
from libs.common.security.vault import KeyRing, SealBroken, Vault

KEK = os.urandom(32)
Place = tuple[str, str, str, str, int]


class MemoryKeys(DataKeyStore):
    """The store without a database."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], DataKey] = {}

    async def newest(self, tx: Any, workspace: str) -> DataKey | None:
        mine = [key for (owner, _), key in self.rows.items() if owner == workspace]
        return mine[-1] if mine else None

    async def get(self, tx: Any, workspace: str, key_id: str) -> DataKey | None:
        return self.rows.get((workspace, key_id))

    async def add(self, tx: Any, workspace: str, key: DataKey) -> None:
        self.rows[workspace, key.id] = key

    async def wrapped_by_others(self, tx: Any, workspace: str, kek_id: str) -> list[DataKey]:
        return [key for (owner, _), key in self.rows.items() if owner == workspace and key.kek_id != kek_id]

    async def replace(self, tx: Any, workspace: str, old: DataKey, new: DataKey) -> None:
        if self.rows[workspace, old.id].kek_id == old.kek_id:
            self.rows[workspace, old.id] = new

    async def erase(self, tx: Any, workspace: str) -> None:
        self.rows = {at: key for at, key in self.rows.items() if at[0] != workspace}


class NoTx:
    async def fetch_one(self, sql: str, **parameters: object) -> Mapping[str, Any] | None:
        raise AssertionError(sql)

    async def fetch_all(self, sql: str, **parameters: object) -> Sequence[Mapping[str, Any]]:
        raise AssertionError(sql)

    async def execute(self, sql: str, **parameters: object) -> Any:
        raise AssertionError(sql)


TX = NoTx()
# Parts that would run together if they were only joined.
PLACES: list[Place] = [
    (workspace, purpose, integration, field, version)
    for workspace, purpose, integration, field, version in product(
        ("w1", "w2"), ("credential", "webhook"), ("ab", "a"), ("c", "bc"), (1, 2)
    )
][:24]


async def test_each_value_opens_in_its_own_place_and_no_other() -> None:
    vault = Vault(KEK, MemoryKeys())
    blobs = {at: await vault.seal(TX, *at, plaintext=repr(at).encode()) for at in PLACES}
    opened = 0
    for sealed_at, blob in blobs.items():
        for asked_at in PLACES:
            if asked_at == sealed_at:
                assert await vault.open(TX, *asked_at, blob=blob) == repr(sealed_at).encode()
                opened += 1
            else:
                with pytest.raises(SealBroken):
                    await vault.open(TX, *asked_at, blob=blob)
    assert opened == len(PLACES)


async def test_equal_values_seal_differently() -> None:
    vault = Vault(KEK, MemoryKeys())
    assert await vault.seal(TX, *PLACES[0], plaintext=b"x") != await vault.seal(TX, *PLACES[0], plaintext=b"x")


async def test_changed_bit_anywhere_breaks_the_seal() -> None:
    vault = Vault(KEK, MemoryKeys())
    blob = await vault.seal(TX, *PLACES[0], plaintext=b"secret-canary")
    for at in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(SealBroken) as caught:
            await vault.open(TX, *PLACES[0], blob=bytes(changed))
        assert caught.value.detail == SealBroken().detail


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01" * 44, b"\x02" + b"\0" * 60, b"\x01" + b"\0" * 60])
async def test_what_was_never_sealed_does_not_open(blob: bytes) -> None:
    with pytest.raises(SealBroken):
        await Vault(KEK, MemoryKeys()).open(TX, *PLACES[0], blob=blob)


@pytest.mark.parametrize("plaintext", [b"", b"\0", os.urandom(100_000)])
async def test_any_bytes_survive(plaintext: bytes) -> None:
    vault = Vault(KEK, MemoryKeys())
    assert await vault.open(TX, *PLACES[0], blob=await vault.seal(TX, *PLACES[0], plaintext=plaintext)) == plaintext


async def test_data_key_moved_to_another_workspace_opens_nothing() -> None:
    keys = MemoryKeys()
    vault = Vault(KEK, keys)
    blob = await vault.seal(TX, *PLACES[0], plaintext=b"x")
    ((_, key_id), key) = next(iter(keys.rows.items()))
    keys.rows["w9", key_id] = key
    with pytest.raises(SealBroken):
        await vault.open(TX, "w9", *PLACES[0][1:], blob=blob)


async def test_wrong_key_encryption_key_opens_nothing() -> None:
    keys = MemoryKeys()
    blob = await Vault(KEK, keys).seal(TX, *PLACES[0], plaintext=b"x")
    with pytest.raises(SealBroken):
        await Vault(os.urandom(32), keys).open(TX, *PLACES[0], blob=blob)


async def test_rotation_keeps_every_value_open_and_rewraps_once() -> None:
    old, new, keys = os.urandom(32), os.urandom(32), MemoryKeys()
    blob = await Vault(old, keys).seal(TX, *PLACES[0], plaintext=b"x")
    prepared = Vault(KeyRing(old, new), keys)
    assert await prepared.open(TX, *PLACES[0], blob=blob) == b"x"
    rotating = Vault(KeyRing(new, old), keys)
    assert await rotating.open(TX, *PLACES[0], blob=blob) == b"x"
    assert await rotating.rewrap(TX, PLACES[0][0]) == 1
    assert await rotating.rewrap(TX, PLACES[0][0]) == 0
    assert await Vault(new, keys).open(TX, *PLACES[0], blob=blob) == b"x"
    with pytest.raises(SealBroken):
        await Vault(old, keys).open(TX, *PLACES[0], blob=blob)


async def test_erased_workspace_opens_nothing_and_others_stay() -> None:
    vault = Vault(KEK, MemoryKeys())
    mine, theirs = ("w1", *PLACES[0][1:]), ("w2", *PLACES[0][1:])
    my_blob = await vault.seal(TX, *mine, plaintext=b"x")
    their_blob = await vault.seal(TX, *theirs, plaintext=b"y")
    await vault.erase(TX, "w1")
    with pytest.raises(SealBroken):
        await vault.open(TX, *mine, blob=my_blob)
    assert await vault.open(TX, *theirs, blob=their_blob) == b"y"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_key_of_another_length_refuses_to_start(length: int) -> None:
    with pytest.raises(ConfigurationError):
        Vault(b"x" * length)
