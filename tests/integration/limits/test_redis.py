"""The connection to Redis: who asks gets the own answer, whatever becomes of others and of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import uvloop

from libs.common.errors import ConfigurationError, DependencyDown
from libs.common.ids import new_id
from libs.common.redis import Redis, Script
from libs.local.valkey import Valkey


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    made = Redis(valkey.url, 5.0)
    yield made
    await made.close()


async def test_many_who_ask_at_once_get_each_the_own_answer(redis: Redis) -> None:
    said = [new_id() for _ in range(200)]
    assert await asyncio.gather(*(redis.ask("ECHO", word) for word in said)) == [word.encode() for word in said]


async def test_answer_of_one_who_left_is_given_to_nobody(redis: Redis) -> None:
    await redis.ask("PING")
    leaving = [asyncio.create_task(redis.ask("ECHO", "left")) for _ in range(20)]
    await asyncio.sleep(0)
    for one in leaving[::2]:
        one.cancel()
    assert await redis.ask("ECHO", "stayed") == b"stayed"
    told = await asyncio.gather(*leaving, return_exceptions=True)
    assert [one for one in told if not isinstance(one, asyncio.CancelledError)] == [b"left"] * 10


async def test_connection_that_redis_ended_is_made_anew_and_nobody_hears_of_it(redis: Redis, valkey: Valkey) -> None:
    mine = await redis.ask("CLIENT", "ID")
    other = Redis(valkey.url, 5.0)
    assert await other.ask("CLIENT", "KILL", "ID", mine) == 1
    assert await redis.ask("PING") == b"PONG"
    assert await redis.ask("CLIENT", "ID") != mine
    await other.close()


async def test_script_that_redis_forgot_is_sent_again(redis: Redis) -> None:
    script = Script("return {KEYS[1], ARGV[1], 7}")
    for _ in range(2):
        assert await redis.run(script, ["k"], ["a"]) == [b"k", b"a", 7]
        await redis.ask("SCRIPT", "FLUSH")


async def test_command_that_redis_refuses_leaves_the_connection_as_it_is(redis: Redis) -> None:
    mine = await redis.ask("CLIENT", "ID")
    for refused in (redis.ask("NONSENSE"), redis.run(Script("return redis.call('NONSENSE')"), [], [])):
        with pytest.raises(DependencyDown):
            await refused
    assert await redis.ask("CLIENT", "ID") == mine


@pytest.mark.parametrize("url", ["redis://:wrong@{place}/0", "redis://{place}/0", "redis://127.0.0.1:1"])
async def test_redis_that_cannot_be_used_is_away(valkey: Valkey, url: str) -> None:
    lame = Redis(url.format(place=urlsplit(valkey.url).netloc.rpartition("@")[2]), 5.0)
    with pytest.raises(DependencyDown):
        await lame.ask("PING")
    await lame.close()


async def test_database_of_the_address_is_the_one_that_is_used(valkey: Valkey) -> None:
    key = new_id()
    for database, found in ((3, b"here"), (4, None)):
        one = Redis(f"{valkey.url.rpartition('/')[0]}/{database}", 5.0)
        if found:
            await one.ask("SET", key, found, "EX", 60)
        assert await one.ask("GET", key) == found
        await one.close()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+MORE\r\n"])
async def test_server_that_is_silent_or_no_redis_is_away_and_asked_over_a_new_connection(said: bytes) -> None:
    came = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        await reader.read(10)
        writer.write(said)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        lame = Redis(f"redis://{host}:{port}", 0.2)
        for _ in range(2):
            if said.startswith(b"+"):
                assert await lame.ask("PING") == b"OK"
            else:
                with pytest.raises(DependencyDown):
                    await lame.ask("PING")
        await lame.close()
    assert came >= 2


def test_loop_that_services_run_on_knows_the_connection(valkey: Valkey) -> None:
    async def ask() -> bytes:
        one = Redis(valkey.url, 5.0)
        try:
            return bytes(await one.ask("ECHO", "here"))
        finally:
            await one.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == b"here"


def test_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Redis("http://127.0.0.1:6379", 1.0)
