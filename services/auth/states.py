"""What waits in Redis for a consent to come back: short-lived, single use, and never what only Redis knows."""

from __future__ import annotations

import secrets
from hashlib import sha256

import msgspec

from libs.common.errors import DependencyDown
from libs.common.redis import Redis
from services.auth.domain.attempt import LONGEST_SECONDS

PREFIX = "integrationState:"
SECONDS = 2.0


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """`verifier` and `code` are sealed by the vault; `browser` is the hash of the cookie. No code yet: state is out."""

    verifier: bytes
    browser: str = ""
    code: bytes = b""


class States:
    """Keys are hashes of tickets (a state, then a handle), so that whoever reads Redis can finish nothing.

    Every method raises DependencyDown while Redis is away.
    """

    def __init__(self, url: str) -> None:
        self._redis = Redis(url, SECONDS)

    async def put(self, ticket: str, waiting: Waiting, seconds: int) -> None:
        await self._redis.ask("SET", _key(ticket), msgspec.json.encode(waiting), "EX", _bounded(seconds))

    async def see(self, ticket: str) -> Waiting | None:
        return _decoded(await self._redis.ask("GET", _key(ticket)))

    async def take(self, ticket: str) -> Waiting | None:
        """Single use: of many that ask, one gets it."""
        return _decoded(await self._redis.ask("GETDEL", _key(ticket)))

    async def drop(self, ticket: str) -> None:
        await self._redis.ask("DEL", _key(ticket))

    async def ready(self) -> bool:
        try:
            return bool(await self._redis.ask("PING"))
        except DependencyDown:
            return False

    async def close(self) -> None:
        await self._redis.close()


def new_ticket() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def hash_of(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(ticket_hash: str) -> str:
    return PREFIX + ticket_hash


def _bounded(seconds: int) -> int:
    return min(max(seconds, 1), LONGEST_SECONDS)


def _decoded(found: bytes | None) -> Waiting | None:
    return None if found is None else msgspec.json.decode(found, type=Waiting)
