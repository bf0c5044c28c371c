"""Service-to-service tokens: each service signs with its own Ed25519 key; the public halves are files for all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
from joserfc.jwk import OKPKey

from libs.common.clock import Clock, SystemClock
from libs.common.errors import Unauthenticated
from libs.common.ids import new_id
from libs.common.security.callers import INTERNAL, Principal, bearer
from libs.common.security.signed import SigningKeys, sign, unverified, verified

TYPE = "sluice-service+jwt"
LIFETIME = timedelta(seconds=60)
LEEWAY = timedelta(seconds=5)


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
    """Issues this service's tokens and verifies everyone's."""

    def __init__(self, service: str, keys_dir: Path, clock: Clock | None = None) -> None:
        self.service = service
        self._keys = SigningKeys(keys_dir)
        self._clock = clock or SystemClock()

    def issue(self, audience: str) -> str:
        """A token for one audience that lives a minute: made for each call, never kept."""
        now = int(self._clock.now().timestamp())
        exp = now + int(LIFETIME.total_seconds())
        claims = Claims(iss=self.service, aud=audience, iat=now, exp=exp, jti=new_id())
        return sign(TYPE, claims, self._keys.private(self.service))

    def verify(self, token: str, audience: str) -> Principal:
        """Raises Unauthenticated for anything but a fresh token of a known service for this audience."""
        issuer = unverified(token, TYPE, Claims).iss
        claims = verified(token, TYPE, Claims, self._keys.public(issuer))
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


class ServiceTokenResolver:
    """A CallerResolver over ServiceTokens; the audience is this service itself unless another is named."""

    def __init__(self, tokens: ServiceTokens, audience: str | None = None) -> None:
        self._tokens = tokens
        self._audience = audience or tokens.service

    def resolve(self, authorization: str | None) -> Principal:
        return self._tokens.verify(bearer(authorization), self._audience)
