"""Envelope encryption: a data key per workspace, wrapped by a key-encryption key; erasing it erases the workspace.

A sealed value opens only where it was sealed: purpose, workspace, integration, field and version are bound to it
(RELIABILITY D22). Rotating the key-encryption key rewraps data keys and touches no sealed value (D23).
"""

from __future__ import annotations

import os
import uuid
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.common.errors import ConfigurationError, Disposition, SluiceError
from libs.common.ids import new_id
from libs.common.security.repository import DataKey, DataKeyStore, Tx

FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SHORTEST = 1 + 16 + NONCE_BYTES + TAG_BYTES

__all__ = ["DataKey", "DataKeyStore", "KeyRing", "SealBroken", "Vault"]


class SealBroken(SluiceError):
    """Wrong place, wrong key or changed bytes: which of them is told to nobody."""

    code = "seal_broken"
    disposition = Disposition.PARK
    title = "A stored secret could not be opened"

    def __init__(self) -> None:
        super().__init__()


class KeyRing:
    """Key-encryption keys: the primary wraps, the others only unwrap (the way of a rotation, D23)."""

    def __init__(self, primary: bytes, *decrypt_only: bytes) -> None:
        self.primary_id = key_id(primary)
        self._keys = {key_id(key): AESGCM(key) for key in (primary, *decrypt_only)}

    def wrap(self, workspace: str, data_key_id: str, key: bytes) -> DataKey:
        nonce = os.urandom(NONCE_BYTES)
        aad = _wrap_aad(workspace, data_key_id, self.primary_id)
        sealed = self._keys[self.primary_id].encrypt(nonce, key, aad)
        return DataKey(data_key_id, self.primary_id, nonce + sealed)

    def unwrap(self, workspace: str, key: DataKey) -> bytes:
        wrapping = self._keys.get(key.kek_id)
        if wrapping is None:
            raise SealBroken
        return _open(wrapping, key.wrapped, _wrap_aad(workspace, key.id, key.kek_id))


class Vault:
    """`kek` is 32 random bytes, or a ring while one key follows another."""

    def __init__(self, kek: bytes | KeyRing, keys: DataKeyStore | None = None) -> None:
        self._ring = kek if isinstance(kek, KeyRing) else KeyRing(kek)
        self._store = keys or DataKeyStore()

    async def seal(
        self, tx: Tx, workspace: str, purpose: str, integration: str, field: str, version: int, plaintext: bytes
    ) -> bytes:
        """format (1) · data key id (16) · nonce (12) · ciphertext and tag. `tx` is bound to `workspace`."""
        key_id_, key = await self._current_key(tx, workspace)
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, plaintext, place(purpose, workspace, integration, field, version))
        return bytes([FORMAT]) + uuid.UUID(key_id_).bytes + nonce + sealed

    async def open(
        self, tx: Tx, workspace: str, purpose: str, integration: str, field: str, version: int, blob: bytes
    ) -> bytes:
        """Raises SealBroken unless the blob was sealed for exactly this place and version."""
        if len(blob) < SHORTEST or blob[0] != FORMAT:
            raise SealBroken
        stored = await self._store.get(tx, workspace, str(uuid.UUID(bytes=bytes(blob[1:17]))))
        if stored is None:
            raise SealBroken
        key = AESGCM(self._ring.unwrap(workspace, stored))
        return _open(key, blob[17:], place(purpose, workspace, integration, field, version))

    async def rewrap(self, tx: Tx, workspace: str) -> int:
        """Moves the workspace's data keys to the primary key; answers how many. Nothing left to do is 0."""
        old = await self._store.wrapped_by_others(tx, workspace, self._ring.primary_id)
        for stored in old:
            key = self._ring.unwrap(workspace, stored)
            await self._store.replace(tx, workspace, stored, self._ring.wrap(workspace, stored.id, key))
        return len(old)

    async def erase(self, tx: Tx, workspace: str) -> None:
        await self._store.erase(tx, workspace)

    async def _current_key(self, tx: Tx, workspace: str) -> tuple[str, bytes]:
        stored = await self._store.newest(tx, workspace)
        if stored is not None:
            return stored.id, self._ring.unwrap(workspace, stored)
        key, fresh = os.urandom(KEY_BYTES), new_id()
        await self._store.add(tx, workspace, self._ring.wrap(workspace, fresh, key))
        return fresh, key


def place(purpose: str, workspace: str, integration: str, field: str, version: int) -> bytes:
    """Each part behind its length, so that ("ab", "c") and ("a", "bc") differ."""
    return _parts(purpose, workspace, integration, field, str(version))


def key_id(key: bytes) -> str:
    """Names a key without telling it; raises ConfigurationError for a key of another length."""
    if len(key) != KEY_BYTES:
        raise ConfigurationError("SLUICE_KEK is not 32 bytes")
    return sha256(b"sluice-kek" + key).hexdigest()[:16]


def _wrap_aad(workspace: str, data_key_id: str, kek_id: str) -> bytes:
    return _parts("data-key", workspace, data_key_id, kek_id)


def _parts(*texts: str) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in texts))


def _open(key: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    try:
        return key.decrypt(bytes(sealed[:NONCE_BYTES]), bytes(sealed[NONCE_BYTES:]), aad)
    except InvalidTag:
        raise SealBroken from None
