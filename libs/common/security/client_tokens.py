"""Client tokens: for a browser, a quarter of an hour, one workspace, user and origin; made by one service alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from libs.common.clock import Clock, SystemClock
from libs.common.errors import Unauthenticated
from libs.common.ids import new_id
from libs.common.security.callers import Principal, bearer
from libs.common.security.signed import SigningKeys, sign, verified

ISSUER = "auth"
AUDIENCE = "sluice"
TYPE = "sluice-client+jwt"
LONGEST_LIFE = timedelta(seconds=900)
LEEWAY = timedelta(seconds=5)
# What a page may ever do: it makes no tokens and no workspaces.
CLIENT_SCOPES = (
    "feedback:read",
    "feedback:write",
    "integrations:read",
    "integrations:write",
    "resources:read",
    "resources:write",
    "sources:read",
    "sync:read",
    "sync:write",
)


class ClientClaims(msgspec.Struct, forbid_unknown_fields=True):
    iss: str
    aud: str
    ws: str
    sub: str
    origin: str
    scopes: list[str]
    iat: int
    exp: int
    jti: str


class ClientTokens:
    """Every service verifies them by the issuer's public key; only the issuer has the private one."""

    def __init__(self, keys_dir: Path, clock: Clock | None = None) -> None:
        self._keys = SigningKeys(keys_dir)
        self._clock = clock or SystemClock()

    def issue(
        self, *, workspace: str, user: str, origin: str, scopes: Sequence[str], life: timedelta
    ) -> tuple[str, datetime]:
        """(token, when it ends). The caller has judged every part."""
        now = int(self._clock.now().timestamp())
        claims = ClientClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            ws=workspace,
            sub=user,
            origin=origin,
            scopes=list(scopes),
            iat=now,
            exp=now + int(life.total_seconds()),
            jti=new_id(),
        )
        ends = datetime.fromtimestamp(claims.exp, self._clock.now().tzinfo)
        return sign(TYPE, claims, self._keys.private(ISSUER)), ends

    def verify(self, token: str) -> Principal:
        """Raises Unauthenticated for anything but a living token. The HTTP edge compares `origin`."""
        claims = verified(token, TYPE, ClientClaims, self._keys.public(ISSUER))
        now, life = self._clock.now().timestamp(), claims.exp - claims.iat
        living = claims.iat - LEEWAY.total_seconds() <= now < claims.exp and 0 < life <= LONGEST_LIFE.total_seconds()
        if (claims.iss, claims.aud) != (ISSUER, AUDIENCE) or not living or not claims.origin:
            raise Unauthenticated
        return Principal(
            subject=f"client:{claims.sub}",
            workspace=claims.ws,
            scopes=frozenset(claims.scopes) & frozenset(CLIENT_SCOPES),
            method="client_token",
            user=claims.sub,
            origin=claims.origin,
        )


class ClientTokenResolver:
    def __init__(self, tokens: ClientTokens) -> None:
        self._tokens = tokens

    def resolve(self, authorization: str | None) -> Principal:
        return self._tokens.verify(bearer(authorization))
