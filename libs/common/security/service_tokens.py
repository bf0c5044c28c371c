"""Service-to-service tokens: each service signs with its own Ed25519 key; the public halves are files for all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from libs.common.clock import Clock, SystemClock
from libs.common.errors import ConfigurationError, Unauthenticated
from libs.common.ids import new_id
from libs.common.security.callers import INTERNAL, Principal, bearer

ALGORITHM = "Ed25519"
TYPE = "sluice-service+jwt"
LIFETIME = timedelta(seconds=60)
LEEWAY = timedelta(seconds=5)
HEADER = {"alg": ALGORITHM, "typ": TYPE}
LONGEST = 2048
SERVICE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Claims(msgspec.Struct, forbid_unknown_fields=True):
    iss: str
    aud: str
    iat: int
    exp: int
    jti: str


def make_service_keys(directory: Path, services: Sequence[str]) -> None:
    """Writes `<service>.private.pem` and `<service>.public.pem` (mode 0600) for every service that has none yet."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for service in services:
        private = directory / f"{service}.private.pem"
        if private.exists():
            continue
        key = OKPKey.generate_key("Ed25519", private=True)
        public = directory / f"{service}.public.pem"
        public.touch(mode=0o600)
        public.write_bytes(key.as_pem(private=False))
        _write_private(private, key.as_pem(private=True))


def _write_private(path: Path, pem: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


class ServiceTokens:
    """Issues this service's tokens and verifies everyone's. Keys of others are read when they first call."""

    def __init__(self, service: str, keys_dir: Path, clock: Clock | None = None) -> None:
        self.service = service
        self._keys_dir = Path(keys_dir)
        self._clock = clock or SystemClock()
        self._public: dict[str, OKPKey] = {}
        self._private: OKPKey | None = None

    def issue(self, audience: str) -> str:
        """A token for one audience that lives a minute: made for each call, never kept."""
        now = int(self._clock.now().timestamp())
        exp = now + int(LIFETIME.total_seconds())
        claims = Claims(iss=self.service, aud=audience, iat=now, exp=exp, jti=new_id())
        return jws.serialize_compact(dict(HEADER), msgspec.json.encode(claims), self._signing_key(), [ALGORITHM])

    def verify(self, token: str, audience: str) -> Principal:
        """Raises Unauthenticated for anything but a fresh token of a known service for this audience.

        The header must be exactly ours: no kid, jku, jwk, x5u or crit is ever followed, because none is accepted.
        """
        issuer = _read_issuer(token)
        claims = self._verified_claims(token, issuer)
        now = self._clock.now().timestamp()
        leeway = LEEWAY.total_seconds()
        lifetime = claims.exp - claims.iat
        fresh = claims.iat - leeway <= now < claims.exp + leeway and 0 < lifetime <= LIFETIME.total_seconds()
        if claims.iss != issuer or claims.aud != audience or not fresh:
            raise Unauthenticated
        return Principal(
            subject=f"service:{issuer}",
            workspace=None,
            scopes=frozenset({INTERNAL}),
            method="service",
            service=issuer,
        )

    def _verified_claims(self, token: str, issuer: str) -> Claims:
        try:
            signed = jws.deserialize_compact(token, self._public_key(issuer), [ALGORITHM])
        except (JoseError, ValueError):
            raise Unauthenticated from None
        if signed.headers() != HEADER:
            raise Unauthenticated
        return _claims(signed.payload)

    def _signing_key(self) -> OKPKey:
        if self._private is None:
            path = self._keys_dir / f"{self.service}.private.pem"
            if not path.is_file():
                raise ConfigurationError(f"SERVICE_SIGNING_KEYS_DIR has no {path.name}")
            self._private = OKPKey.import_key(path.read_bytes())
        return self._private

    def _public_key(self, service: str) -> OKPKey:
        if service not in self._public:
            path = self._keys_dir / f"{service}.public.pem"
            if not SERVICE_NAME.fullmatch(service) or not path.is_file():
                raise Unauthenticated
            self._public[service] = OKPKey.import_key(path.read_bytes())
        return self._public[service]


class ServiceTokenResolver:
    """A CallerResolver over ServiceTokens; the audience is this service itself unless another is named."""

    def __init__(self, tokens: ServiceTokens, audience: str | None = None) -> None:
        self._tokens = tokens
        self._audience = audience or tokens.service

    def resolve(self, authorization: str | None) -> Principal:
        return self._tokens.verify(bearer(authorization), self._audience)


def _read_issuer(token: str) -> str:
    """Which key to try; nothing else of the token is believed before the signature is checked."""
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise Unauthenticated
    try:
        header = jws.extract_compact(token.encode())
    except (JoseError, ValueError):
        raise Unauthenticated from None
    if header.headers() != HEADER:
        raise Unauthenticated
    return _claims(header.payload).iss


def _claims(payload: bytes) -> Claims:
    """One reading of the claims only: a repeated key could mean one thing here and another elsewhere."""
    try:
        return msgspec.convert(json.loads(payload, object_pairs_hook=_unique, parse_constant=_refuse), Claims)
    except (ValueError, RecursionError):
        raise Unauthenticated from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a claim is repeated")
    return dict(pairs)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
