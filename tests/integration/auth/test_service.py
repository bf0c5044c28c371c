"""The whole service as it is composed, on a broker: what it emits arrives, what it hears is shown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from libs.common.bus.broker import producer_options
from libs.common.events import IntegrationConnected, SyncStateChanged
from libs.common.events.cloudevents import Attributes, encode, source_of
from libs.common.ids import new_id
from libs.common.runtime import run_service
from libs.common.testing.eventually import eventually
from services.auth.app import build
from services.auth.settings import AuthSettings
from tests.integration.auth.conftest import API_KEY
from tests.integration.auth.provider_double import ProviderDouble
from tests.integration.auth.test_connect import connect
from tests.integration.auth.test_lifecycle import Admin
from tests.support.stack import BrokerProcess, broker_flavour


async def test_connect_reaches_the_broker_and_observed_state_comes_back(
    settings: AuthSettings, broker_process: BrokerProcess, admin: Admin
) -> None:
    """On a broker of its own: the group of a real service would read what other tests left on its topics."""
    kafka = broker_process.bootstrap
    here = msgspec.structs.replace(settings, kafka_bootstrap_servers=kafka, kafka_flavour=broker_flavour())
    service = build(here, environ={}, providers=ProviderDouble().providers())
    stop = asyncio.Event()
    running = asyncio.create_task(run_service(service, stop=stop))
    transport = httpx.ASGITransport(app=service.surface())
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://auth", headers=headers) as api:
        workspace = f"ws-{new_id()}"
        await api.put(f"/v1/workspaces/{workspace}")
        one = (await connect(api, workspace)).json()
        # Only then does the topic exist: a reader that came first would make the broker create it by its own rules.
        await eventually(lambda: published(admin, workspace), timeout=20)
        told = await heard(kafka, one["id"])
        assert (told.workspace_id, told.provider, told.version) == (workspace, "tracker", one["version"])
        await send(
            here,
            SyncStateChanged(
                workspace_id=workspace,
                integration_id=one["id"],
                version=1,
                last_polled_at=None,
                next_poll_at=None,
                change_count=42,
                error_count=0,
                last_error=None,
            ),
        )

        async def shown() -> bool:
            return bool((await api.get(f"/v1/integrations/{one['id']}")).json()["changeCount"] == 42)

        await eventually(shown, timeout=20)
        assert (await api.get("/readyz")).status_code == 200
    stop.set()
    await running


async def published(admin: Admin, workspace: str) -> bool:
    sql = "SELECT count(*) FROM outbox WHERE workspace_id = $1 AND published_at IS NOT NULL"
    return bool(await admin.fetchval(sql, workspace))


async def heard(bootstrap: str, integration_id: str) -> IntegrationConnected:
    """The first event about the integration, read from the beginning."""
    consumer = AIOKafkaConsumer("integration.connected", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                if record.key == integration_id.encode():
                    return msgspec.json.decode(record.value, type=IntegrationConnected)
    finally:
        await consumer.stop()
    raise AssertionError("the topic ended")


async def send(settings: AuthSettings, event: SyncStateChanged) -> None:
    """As sync's relay would send it."""
    topic = "sync.state_changed"
    attributes = Attributes(
        id=new_id(), source=source_of("sync"), type=topic, time=datetime.now(UTC), subject=event.key
    )
    producer = AIOKafkaProducer(**producer_options(settings))
    await producer.start()
    try:
        body = msgspec.json.encode(event)
        await producer.send_and_wait(topic, body, key=event.key.encode(), headers=encode(attributes))
    finally:
        await producer.stop()
