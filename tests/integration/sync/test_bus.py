"""All loops of the service at once, fed and read over a real broker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from libs.common.bus.broker import ensure_topics, producer_options
from libs.common.events.catalog import CATALOG, topic_of
from libs.common.events.cloudevents import Attributes, encode, source_of
from libs.common.events.event import Event
from libs.common.ids import new_id
from libs.common.runtime import Service, run_service
from libs.common.testing.eventually import eventually
from services.sync.app import components, create_operations
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine
from tests.support.stack import BrokerProcess, broker_flavour


async def test_connected_on_the_bus_becomes_changes_on_the_bus(
    engine: Engine, world: World, broker_process: BrokerProcess
) -> None:
    """On a broker of its own: the group of a real service would read what other tests left on its topics."""
    kafka = broker_process.bootstrap
    world.repo("r1", items=25, files=4)
    settings = msgspec.structs.replace(engine.settings, kafka_bootstrap_servers=kafka, kafka_flavour=broker_flavour())
    deps = engine.replica(settings=settings)
    await ensure_topics(kafka, CATALOG, embedded=broker_flavour() == "embedded")
    stop = asyncio.Event()
    running = asyncio.create_task(run_service(Service(create_operations(deps), None, components(deps)), stop=stop))
    reader = AIOKafkaConsumer("source.changed", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await reader.start()
    try:
        await _send(settings, engine.connected())
        heard = await _hear(reader, engine.workspace, 29)
        assert {event["change"] for event in heard.values()} == {"created"}

        async def told() -> bool:
            reported = await engine.events("sync.state_changed")
            return bool(reported and reported[-1]["change_count"] == 29 and (await engine.run())["finished_at"])

        await eventually(told)
    finally:
        await reader.stop()
        stop.set()
        await running
        await deps.db.close()


async def _send(settings: Any, event: Event) -> None:
    topic = topic_of(event)
    attributes = Attributes(id=new_id(), source=source_of("auth"), type=topic.name, time=datetime.now(UTC))
    async with AIOKafkaProducer(**producer_options(settings)) as producer:
        body = msgspec.json.encode(event)
        await producer.send_and_wait(topic.name, body, key=event.key.encode(), headers=encode(attributes))


async def _hear(reader: AIOKafkaConsumer, workspace: str, count: int) -> dict[str, dict[str, Any]]:
    """Changes of the workspace by source, until there are `count`."""
    heard: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(30):
        while len(heard) < count:
            event = msgspec.json.decode((await reader.getone()).value)
            if event["workspace_id"] == workspace:
                heard[event["source_id"]] = event
    return heard
