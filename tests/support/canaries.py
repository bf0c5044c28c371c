"""Looks for secrets wherever an installation writes: every schema, topic, key, log, metric and answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from redis.asyncio import Redis

from libs.local.endpoints import Endpoints, read_credentials
from libs.local.state import State

Written = tuple[str, bytes]  # where, and what stands there


def disguises(secret: str) -> Iterator[bytes]:
    """As it is, URL-encoded, in hex (as PostgreSQL shows bytes), and in base64 at each of its three alignments."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    for shift in range(3):
        # The first and last characters depend on the neighbours: what is left belongs to the secret alone.
        encoded = b64encode(b"\0" * shift + raw).rstrip(b"=")
        inner = encoded[(shift * 8 + 5) // 6 : -1]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


def hits(secrets: Mapping[str, str], written: Iterable[Written]) -> list[str]:
    """`<secret's name> in <place>`, once for each."""
    wanted = {name: set(disguises(secret)) for name, secret in secrets.items()}
    return [f"{name} in {place}" for place, text in written for name, forms in wanted.items()
            if any(form in text for form in forms)]  # fmt: skip


@dataclass(frozen=True)
class Installation:
    root: Path
    endpoints: Endpoints

    async def everything(self) -> list[Written]:
        """All that is written down now."""
        found = [*self._logs(), *self._metrics()]
        for source in (self._postgres(), self._topics(), self.redis()):
            found += [one async for one in source]
        return found

    def _logs(self) -> Iterator[Written]:
        state = State.at(self.root)
        for place in (state.logs, state.traces):
            for path in sorted(place.iterdir()):
                yield f"log {path.name}", path.read_bytes()

    def _metrics(self) -> Iterator[Written]:
        for name, url in self.endpoints.services.items():
            yield f"metrics of {name}", httpx.get(f"{url}/metrics").content

    async def _postgres(self) -> AsyncIterator[Written]:
        """Every row of every table of every schema that is not PostgreSQL's own, as its superuser reads it."""
        connection = await asyncpg.connect(read_credentials(State.at(self.root)).admin)
        listed = (
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        )
        try:
            for schema, table in await connection.fetch(listed):
                rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{table}" t')
                yield f"table {schema}.{table}", "\n".join(row[0] for row in rows).encode()
        finally:
            await connection.close()

    async def _topics(self) -> AsyncIterator[Written]:
        """Every record of every topic from its beginning: key, headers and value."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.endpoints.kafka)
        await admin.start()
        try:
            topics = await admin.describe_topics(await admin.list_topics())
        finally:
            await admin.close()
        consumer = AIOKafkaConsumer(bootstrap_servers=self.endpoints.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            for topic in topics:
                parts = [TopicPartition(topic["topic"], one["partition"]) for one in topic["partitions"]]
                yield f"topic {topic['topic']}", b"\n".join([part async for part in _records(consumer, parts)])
        finally:
            await consumer.stop()

    async def redis(self) -> AsyncIterator[Written]:
        async with Redis.from_url(read_credentials(State.at(self.root)).redis) as redis:
            async for key in redis.scan_iter("*"):
                yield f"redis {key.decode()}", key + b"\n" + await _value(redis, key)


async def _records(consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> AsyncIterator[bytes]:
    consumer.assign(parts)
    ends = await consumer.end_offsets(parts)
    await consumer.seek_to_beginning(*parts)
    for part in parts:
        while await consumer.position(part) < ends[part]:
            for record in (await consumer.getmany(part, timeout_ms=1000)).get(part, ()):
                yield b"\n".join([record.key or b"", record.value or b"", *(value for _, value in record.headers)])


async def _value(redis: Redis, key: bytes) -> bytes:
    match await redis.type(key):
        case b"string":
            return bytes(await redis.get(key) or b"")
        case b"hash":
            return b"\n".join(part for pair in (await redis.hgetall(key)).items() for part in pair)
        case b"list":
            return b"\n".join(await redis.lrange(key, 0, -1))
        case b"set":
            return b"\n".join(await redis.smembers(key))
        case b"zset":
            return b"\n".join(await redis.zrange(key, 0, -1))
        case b"none":
            return b""  # gone between the listing and the look
        case other:
            raise LookupError(f"nobody looks into a {other!r} of Redis yet")
