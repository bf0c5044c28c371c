"""A service's database and bus without the service: what the tests of bus, outbox and jobs stand on."""

import asyncio
import itertools
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from libs.common.bus.broker import cluster_id, ensure_topics, group_in, producer_options
from libs.common.bus.metadata import BrokerView
from libs.common.database.engine import Database
from libs.common.database.kernel_tables import kernel_tables_v1
from libs.common.database.policies import queue_table
from libs.common.database.transaction import Transaction
from libs.common.events import BY_NAME, DesiredState, IntegrationConnected
from libs.common.events.cloudevents import Attributes, encode
from libs.common.ids import new_id
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from libs.local.roles import schema_statements

if TYPE_CHECKING:
    from libs.common.runtime import Component  # it loads the HTTP edge, which the processes here do not need

ROOT = Path(__file__).resolve().parents[3]
TOPIC = "integration.connected"
WORKSPACE = "ws-bus"
_numbers = itertools.count(1)

# What a consumer's transaction writes: the order of arrival, and how often each event had an effect.
SEEN = """
CREATE TABLE seen (
  place        bigint GENERATED ALWAYS AS IDENTITY,
  workspace_id text   NOT NULL,
  key          text   NOT NULL,
  version      bigint NOT NULL,
  times        int    NOT NULL DEFAULT 1,
  PRIMARY KEY (workspace_id, key, version)
)
"""
SEE = """
INSERT INTO seen (workspace_id, key, version) VALUES (:workspace, :key, :version)
ON CONFLICT (workspace_id, key, version) DO UPDATE SET times = seen.times + 1
"""

# Correct by version, not by arrival: an older one writes nothing. The trigger sees what the guard would let through.
NEWEST = (
    """
CREATE TABLE newest (
  workspace_id text   NOT NULL,
  key          text   NOT NULL,
  version      bigint NOT NULL,
  regressions  int    NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, key)
)
""",
    """
CREATE FUNCTION count_regression() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.version < OLD.version THEN NEW.regressions := OLD.regressions + 1; END IF; RETURN NEW; END $$
""",
    "CREATE TRIGGER count_regression BEFORE UPDATE ON newest FOR EACH ROW EXECUTE FUNCTION count_regression()",
)
TAKE_NEWER = """
INSERT INTO newest (workspace_id, key, version) VALUES (:workspace, :key, :version)
ON CONFLICT (workspace_id, key) DO UPDATE SET version = excluded.version WHERE newest.version < excluded.version
"""


class Bus(msgspec.Struct, frozen=True):
    kafka_bootstrap_servers: str
    kafka_flavour: str = "embedded"


def bus_of(bootstrap: str) -> Bus:
    return Bus(bootstrap, os.environ.get("SLUICE_TEST_BROKER", "embedded"))


async def new_database(postgres: Postgres, services: Sequence[str]) -> str:
    """A database of this test's own, with the kernel's tables in a schema of each service; answers its name."""
    name = f"bus_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    admin = await asyncpg.connect(postgres.dsn("postgres", name))
    for service in services:
        for statement in schema_statements(service):
            await admin.execute(statement)
    await admin.close()
    for service in services:
        owner = await asyncpg.connect(
            postgres.dsn(f"{service}_owner", name), server_settings={"search_path": f"{service},public"}
        )
        tables = (SEEN, *NEWEST, *queue_table(service, "seen"), *queue_table(service, "newest"))
        for statement in (*kernel_tables_v1(service), *tables):
            await owner.execute(statement)
        await owner.close()
    return name


def urls(postgres: Postgres, service: str, name: str) -> dict[str, str]:
    return {"app_url": postgres.dsn(f"{service}_app", name), "worker_url": postgres.dsn(f"{service}_worker", name)}


@asynccontextmanager
async def service_database(postgres: Postgres, service: str, name: str | None = None) -> AsyncIterator[Database]:
    known = name or await new_database(postgres, [service])
    db = Database(service, **urls(postgres, service, known))
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def as_owner(postgres: Postgres, db: Database, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        postgres.dsn(f"{db.service}_owner", name), server_settings={"search_path": f"{db.service},public"}
    )
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def running(*components: "Component") -> AsyncIterator[None]:
    """Each runs as the supervisor would run it; a failure of one fails the test."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(component.run(stop), name=component.name) for component in components]
    try:
        yield
    finally:
        stop.set()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


async def fresh_topics(bus: Bus, names: Sequence[str]) -> None:
    """The topics, empty, as the catalogue says."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.kafka_bootstrap_servers)
    view = BrokerView(bus.kafka_bootstrap_servers)
    await admin.start()
    try:
        if present := await view.logs(names):
            await admin.delete_topics(list(present))

        async def gone() -> bool:
            return not await view.logs(names)

        await eventually(gone)
    finally:
        await admin.close()
        await view.close()
    await ensure_topics(
        bus.kafka_bootstrap_servers, [BY_NAME[name] for name in names], embedded=bus.kafka_flavour == "embedded"
    )


def connected(key: str, version: int, workspace: str = WORKSPACE) -> IntegrationConnected:
    state = DesiredState(
        name="GitHub", status="active", config={}, features=("issues",), monitor_changes=False,
        polling_enabled=False, polling_interval=15,
    )  # fmt: skip
    return IntegrationConnected(
        workspace_id=workspace, integration_id=key, provider="github", version=version, state=state, account_id="1"
    )


def headers(topic: str = TOPIC, **changed: bytes) -> list[tuple[str, bytes]]:
    made = dict(encode(Attributes(id=new_id(), source="/sluice/auth", type=topic, time=datetime.now(UTC), subject="x")))
    return list({**made, **changed}.items())


@asynccontextmanager
async def producer_to(bus: Bus) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**producer_options(bus))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def group_on(bus: Bus, group: str) -> str:
    """As the broker of this moment knows it."""
    return group_in(group, await cluster_id(bus.kafka_bootstrap_servers), bus.kafka_flavour)


async def committed(bus: Bus, group: str, topic: str = TOPIC) -> dict[int, int]:
    """Offset by partition, -1 where nothing is committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.kafka_bootstrap_servers)
    await admin.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(BY_NAME[topic].partitions)]
        found = await admin.list_consumer_group_offsets(await group_on(bus, group), partitions=partitions)
        return {place.partition: offset.offset for place, offset in found.items()}
    except GroupCoordinatorNotAvailableError:
        return {}  # a new cluster makes the topic of its offsets at the first question
    finally:
        await admin.close()


async def everything(bus: Bus, topic: str = TOPIC) -> list[Any]:
    """Every record that is in the topic now, in order within its partition.

    Read to the high watermark of a fetch: the embedded broker's own answer for the end is not the end.
    """
    places = [TopicPartition(topic, partition) for partition in range(BY_NAME[topic].partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bus.kafka_bootstrap_servers, enable_auto_commit=False)
    consumer.assign(places)
    await consumer.start()
    try:
        await consumer.seek_to_beginning(*places)
        found: list[Any] = []

        async def at_end() -> bool:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found.extend(records)
            ends = [consumer.highwater(place) for place in places]
            return all([end is not None and await consumer.position(place) >= end
                        for place, end in zip(places, ends, strict=True)])  # fmt: skip

        await eventually(at_end, interval=0)
        return found
    finally:
        await consumer.stop()


async def seen(db: Database, workspace: str = WORKSPACE) -> Sequence[Mapping[str, Any]]:
    async with db.transaction(workspace) as tx:
        return await tx.fetch_all("SELECT key, version, times FROM seen ORDER BY place")


async def see(event: IntegrationConnected, db: Database, workspace: str | None = None) -> None:
    async with db.transaction(workspace or event.workspace_id) as tx:
        await write_effects(tx, event)


async def write_effects(tx: Transaction, event: IntegrationConnected) -> None:
    about = {"workspace": tx.workspace, "key": event.integration_id, "version": event.version}
    await tx.execute(TAKE_NEWER, **about)
    await tx.execute(SEE, **about)


async def regressions(db: Database, workspace: str = WORKSPACE) -> int:
    """How often a newer version of a key was overwritten by an older one."""
    async with db.transaction(workspace) as tx:
        return int(await tx.fetch_value("SELECT coalesce(sum(regressions), 0) FROM newest"))


async def newest(db: Database, workspace: str = WORKSPACE) -> dict[str, int]:
    async with db.transaction(workspace) as tx:
        return {row["key"]: row["version"] for row in await tx.fetch_all("SELECT key, version FROM newest")}


def disorder(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many rows came after a newer version of their key."""
    newest: dict[str, int] = {}
    wrong = 0
    for row in rows:
        wrong += row["version"] < newest.get(row["key"], 0)
        newest[row["key"]] = max(row["version"], newest.get(row["key"], 0))
    return wrong


@asynccontextmanager
async def process(module: str, postgres: Postgres, name: str, bus: Bus, **more: str) -> AsyncIterator[Process]:
    """`python -m <module>` on the service's database and bus; killed at the end if it still lives."""
    found = urls(postgres, "auth", name)
    environment = {
        **os.environ, "APP_URL": found["app_url"], "WORKER_URL": found["worker_url"],
        "BOOTSTRAP": bus.kafka_bootstrap_servers, "FLAVOUR": bus.kafka_flavour, **more,
    }  # fmt: skip
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=environment, stderr=PIPE, cwd=ROOT)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def killed(child: Process) -> bool:
    """Waits for the end of the process and says if it was SIGKILL: a fault test fails without its fault."""
    _, said = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == -signal.SIGKILL, said.decode()[-2000:]
    return True


async def write_events(db: Database, count: int, keys: int = 10, first: int = 1, workspace: str = WORKSPACE) -> None:
    """One transaction each; the versions of a key rise by one."""
    for number in range(count):
        async with db.transaction(workspace) as tx:
            await tx.emit(connected(f"key-{number % keys}", first + number // keys, workspace))


async def unpublished(db: Database) -> int:
    async with db.queue() as tx:
        return int(await tx.fetch_value("SELECT count(*) FROM outbox WHERE published_at IS NULL"))


async def all_published(db: Database) -> bool:
    return await unpublished(db) == 0


async def event_ids(db: Database) -> set[str]:
    async with db.queue() as tx:
        return {row["event_id"] for row in await tx.fetch_all("SELECT event_id FROM outbox")}


def ids_of(records: Sequence[Any]) -> list[str]:
    return [dict(record.headers)["ce_id"].decode() for record in records]
