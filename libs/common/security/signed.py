"""Compact JWS by a service's own Ed25519 key: nothing of a token is believed but what its signature covers."""

from __future__ import annotations

import hmac
import json
import re
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from libs.common.errors import ConfigurationError, Unauthenticated

ALGORITHM = "Ed25519"
LONGEST = 2048
SERVICE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

C = TypeVar("C", bound=msgspec.Struct)


class SigningKeys:
    """The files that make_service_keys wrote: `<service>.private.pem` of one's own, `<service>.public.pem` of all."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory)
        self._public: dict[str, OKPKey] = {}
        self._private: dict[str, OKPKey] = {}

    def private(self, service: str) -> OKPKey:
        if service not in self._private:
            path = self._directory / f"{service}.private.pem"
            if not path.is_file():
                raise ConfigurationError(f"SERVICE_SIGNING_KEYS_DIR has no {path.name}")
            self._private[service] = OKPKey.import_key(path.read_bytes())
        return self._private[service]

    def derived(self, service: str, purpose: str) -> bytes:
        """32 bytes that every replica of the service makes of its private key, and nobody else can."""
        pem = self.private(service).as_pem(private=True)
        return hmac.digest(pem, purpose.encode(), "sha256")

    def public(self, service: str) -> OKPKey:
        """Raises Unauthenticated for a service that nobody knows; keys of others are read when they first call."""
        if service not in self._public:
            path = self._directory / f"{service}.public.pem"
            if not SERVICE_NAME.fullmatch(service) or not path.is_file():
                raise Unauthenticated
            self._public[service] = OKPKey.import_key(path.read_bytes())
        return self._public[service]


def sign(kind: str, claims: msgspec.Struct, key: OKPKey) -> str:
    return jws.serialize_compact(_header(kind), msgspec.json.encode(claims), key, [ALGORITHM])


def unverified(token: str, kind: str, claims: type[C]) -> C:
    """Which key to try; nothing else of the token is believed before the signature is checked.

    The header must be exactly ours: no kid, jku, jwk, x5u or crit is ever followed, because none is accepted.
    """
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise Unauthenticated
    try:
        header = jws.extract_compact(token.encode())
    except (JoseError, ValueError):
        raise Unauthenticated from None
    if header.headers() != _header(kind):
        raise Unauthenticated
    return _decoded(header.payload, claims)


def verified(token: str, kind: str, claims: type[C], key: OKPKey) -> C:
    """Raises Unauthenticated unless the key signed exactly this kind of token."""
    unverified(token, kind, claims)
    try:
        signed = jws.deserialize_compact(token, key, [ALGORITHM])
    except (JoseError, ValueError):
        raise Unauthenticated from None
    if signed.headers() != _header(kind):
        raise Unauthenticated
    return _decoded(signed.payload, claims)


def _header(kind: str) -> dict[str, str]:
    return {"alg": ALGORITHM, "typ": kind}


def _decoded(payload: bytes, claims: type[C]) -> C:
    """One reading of the claims only: a repeated key could mean one thing here and another elsewhere."""
    try:
        return msgspec.convert(json.loads(payload, object_pairs_hook=_unique, parse_constant=_refuse), claims)
    except (ValueError, RecursionError):
        raise Unauthenticated from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a claim is repeated")
    return dict(pairs)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
