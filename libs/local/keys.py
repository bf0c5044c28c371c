"""Secrets of a local installation: generated once, kept readable by their owner alone."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from libs.local.state import SERVICES, State, write_private


def kept(path: Path, make: Callable[[], str]) -> str:
    """The secret in that file, made at the first asking."""
    if not path.exists():
        write_private(path, make().encode())
    return path.read_text().strip()


def key_encryption_key(state: State) -> str:
    return kept(state.keys / "kek", new_key_encryption_key)


def new_key_encryption_key() -> str:
    """32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def api_key(state: State) -> str:
    return kept(state.api_key, new_api_key)


def new_api_key() -> str:
    return f"slk_{secrets.token_urlsafe(32)}"


def sandbox_client_secret(state: State) -> str:
    """Of the application that the stand-in has registered; in GitHub's form, 40 hex digits."""
    return kept(state.keys / "sandbox-client-secret", lambda: secrets.token_hex(20))


def api_key_digest(state: State) -> str:
    return digest(api_key(state))


def digest(key: str) -> str:
    """All that a service is told of an API key."""
    return hashlib.sha256(key.encode()).hexdigest()


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
    from libs.common.security.service_tokens import make_service_keys  # with cryptography, for whoever starts a stack

    make_service_keys(state.service_keys, SERVICES)
    return state.service_keys
