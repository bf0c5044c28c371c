"""Secrets of a local installation: generated once, kept readable by their owner alone."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.local.state import SERVICES, State, write_private


def kept(path: Path, make: Callable[[], str]) -> str:
    """The secret in that file, made at the first asking."""
    if not path.exists():
        write_private(path, make().encode())
    return path.read_text().strip()


def key_encryption_key(state: State) -> str:
    """32 random bytes in base64."""
    return kept(state.keys / "kek", lambda: base64.b64encode(secrets.token_bytes(32)).decode())


def api_key(state: State) -> str:
    return kept(state.api_key, lambda: f"slk_{secrets.token_urlsafe(32)}")


def sandbox_client_secret(state: State) -> str:
    """Of the application that the stand-in has registered; in GitHub's form, 40 hex digits."""
    return kept(state.keys / "sandbox-client-secret", lambda: secrets.token_hex(20))


def api_key_digest(state: State) -> str:
    return hashlib.sha256(api_key(state).encode()).hexdigest()


def passwords(state: State, names: Sequence[str]) -> dict[str, str]:
    """One password per name; names may be added later without changing the others."""
    path = state.keys / "passwords.json"
    known = msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}
    missing = {name: secrets.token_urlsafe(24) for name in names if name not in known}
    if missing:
        write_private(path, msgspec.json.encode(known | missing))
    return {name: (known | missing)[name] for name in names}


def signing_keys(state: State) -> Path:
    """The directory with `<service>.private.pem` and `<service>.public.pem` (Ed25519) of every service."""
    for service in SERVICES:
        private = state.service_keys / f"{service}.private.pem"
        pem = kept(private, _private_pem).encode()
        public = state.service_keys / f"{service}.public.pem"
        kept(public, partial(_public_pem, pem))
    return state.service_keys


def _private_pem() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def _public_pem(private_pem: bytes) -> str:
    key = serialization.load_pem_private_key(private_pem, password=None)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
