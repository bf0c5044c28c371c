"""The Redis-protocol server of the stack."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from libs.local.valkey import Valkey


async def test_url_of_the_state_reads_and_writes(valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as client:
        await client.set("k", "v", ex=60)
        assert await client.get("k") == b"v"


async def test_caller_without_the_password_is_refused(valkey: Valkey) -> None:
    async with Redis(port=valkey.port) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()
