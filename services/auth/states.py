"""What waits in Redis for a consent to come back: short-lived, single use, and never what only Redis knows."""

from __future__ import annotations

import asyncio
import secrets
from hashlib import sha256
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.common.errors import DependencyDown
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
        # `_asked` bounds each question: with a `socket_timeout` redis-py may forget that it was cancelled.
        self._redis = Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=None)

    async def put(self, ticket: str, waiting: Waiting, seconds: int) -> None:
        await self._asked(self._redis.set(_key(ticket), msgspec.json.encode(waiting), ex=_bounded(seconds)))

    async def see(self, ticket: str) -> Waiting | None:
        return _decoded(await self._asked(self._redis.get(_key(ticket))))

    async def take(self, ticket: str) -> Waiting | None:
        """Single use: of many that ask, one gets it."""
        return _decoded(await self._asked(self._redis.getdel(_key(ticket))))

    async def drop(self, ticket: str) -> None:
        await self._asked(self._redis.delete(_key(ticket)))

    async def ready(self) -> bool:
        try:
            return bool(await self._asked(self._redis.ping()))
        except DependencyDown:
            return False

    async def close(self) -> None:
        await self._redis.aclose()

    async def _asked(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(SECONDS):
                return await question
        except (RedisError, OSError):  # a timeout is an OSError too
            raise DependencyDown("Redis is away; try again") from None


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
