"""Which log a topic is: asked with Metadata v12, which names topics by id and, unlike older versions, creates none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

LATEST = -1
NO_ID = UUID(int=0)
UNKNOWN_TOPIC = 3


class Log(msgspec.Struct, frozen=True):
    """`identity` names one life of a topic: another cluster, or the topic deleted and made again, has another."""

    identity: str
    cluster_id: str
    partitions: int


class _Uuid(AbstractType[UUID]):  # type: ignore[misc] # aiokafka carries no types, here and below
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_NAME = CompactString("utf-8")
_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error_code", Int16),
    ("name", _NAME),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("operations", Int32),
    ("tags", TaggedFields),
)


class _Metadata12(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), ("tags", TaggedFields)),
        ),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("tags", TaggedFields),
    )


class _AskMetadata12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Metadata12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _NAME), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_operations", Boolean),
        ("tags", TaggedFields),
    )


class _AskMetadata(Request[_AskMetadata12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_AskMetadata12]) -> _AskMetadata12:
        return request_struct_class([(NO_ID, name, {}) for name in self._topics], False, False, {})


class BrokerView:
    """Looks at a broker and changes nothing. Every failure is a KafkaError, after which the next call connects anew."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AIOKafkaClient | None = None

    async def logs(self, topics: Collection[str]) -> dict[str, Log]:
        """The topics that exist, among those asked."""
        answer = await self._ask(_AskMetadata(topics))
        found = {topic[1]: topic for topic in answer.topics if topic[0] != UNKNOWN_TOPIC}
        for topic in found.values():
            if topic[0]:
                raise for_code(topic[0])(topic[1])
        return {
            name: Log(f"{answer.cluster_id}/{topic[2]}", answer.cluster_id, len(topic[4]))
            for name, topic in found.items()
        }

    async def cluster_id(self) -> str:
        return str((await self._ask(_AskMetadata([]))).cluster_id)

    async def ends(self, topics: Mapping[str, Collection[int]]) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition will have. One broker a partition: its leader is asked."""
        client = await self._connected()
        by_node: dict[int, dict[str, list[tuple[int, int]]]] = {}
        answer = await self._ask(_AskMetadata(list(topics)))
        for topic in answer.topics:
            for partition in topic[4]:
                if partition[1] in topics[topic[1]]:
                    node = by_node.setdefault(partition[2], {})
                    node.setdefault(topic[1], []).append((partition[1], LATEST))
        ends: dict[TopicPartition, int] = {}
        for node_id, asked in by_node.items():
            reply = await self._sent(client, node_id, OffsetRequest(-1, 0, list(asked.items())))
            ends |= _ends(reply)
        return ends

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, request: _AskMetadata) -> Any:
        client = await self._connected()
        return await self._sent(client, client.get_random_node(), request)

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            client = AIOKafkaClient(bootstrap_servers=self._bootstrap, request_timeout_ms=5000, retry_backoff_ms=500)
            try:
                await client.bootstrap()
            except BaseException:
                await client.close()
                raise
            self._client = client
        return self._client

    async def _sent(self, client: AIOKafkaClient, node_id: int | None, request: Any) -> Any:
        try:
            if node_id is None:
                raise KafkaConnectionError("no broker is known")
            return await client.send(node_id, request)
        except BaseException:
            # A cluster that moved has other addresses: what this client knows may be of the old one.
            await self.close()
            raise


def _ends(reply: Any) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = {}
    for topic, partitions in reply.topics:
        for partition, error_code, *rest in partitions:
            if error_code:
                raise for_code(error_code)(topic)
            ends[TopicPartition(topic, partition)] = rest[-1]
    return ends
