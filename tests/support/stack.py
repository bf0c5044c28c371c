"""Fixtures of real parts: a fresh database cluster, a Redis-protocol server and a broker per session."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from libs.local.broker import Broker
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from libs.local.state import State
from libs.local.valkey import Valkey
from tests.support.kafka import RealKafka
from tests.support.running import Running


class BrokerProcess(Protocol):
    """A broker that a test may kill and bring back, empty if asked, on the same port."""

    flavour: str

    @property
    def bootstrap(self) -> str: ...
    @property
    def version(self) -> str: ...
    def start(self, *, empty: bool = False) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


class EmbeddedBroker:
    """Tansu, which keeps everything in memory: it always returns empty."""

    flavour = "embedded"

    def __init__(self, state: State) -> None:
        self._broker = Broker(state, free_port())
        self._process = Running(self._broker.spec(), state.logs)

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def version(self) -> str:
        """As the broker itself wrote it at its last start."""
        words = [line.split()[-1] for line in self._process.log.read_text().splitlines() if "tansu broker" in line]
        return words[-1]

    def start(self, *, empty: bool = False) -> None:
        self._process.start()

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        self._process.stop()


def broker_flavour() -> str:
    flavour = os.environ.get("SLUICE_TEST_BROKER", "embedded")
    if flavour not in ("embedded", "kafka"):
        raise ValueError(f"SLUICE_TEST_BROKER is {flavour!r}: embedded or kafka")
    return flavour


@contextmanager
def temporary_state() -> Iterator[State]:
    place = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    try:
        yield State.at(place)
    finally:
        shutil.rmtree(place)


@contextmanager
def running_postgres(state: State) -> Iterator[Postgres]:
    # The processes are killed in tests, the machine is not: the page cache survives, so no write need reach the disk.
    cluster = Postgres(state, free_port(), {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"})
    process = Running(cluster.spec(), state.logs)
    try:
        process.start()
        yield cluster
    finally:
        process.stop()


@contextmanager
def running_broker(state: State) -> Iterator[BrokerProcess]:
    real = broker_flavour() == "kafka"
    broker: BrokerProcess = RealKafka(state.home / "kafka") if real else EmbeddedBroker(state)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def stack_state() -> Iterator[State]:
    with temporary_state() as state:
        yield state


@pytest.fixture(scope="session")
def postgres(stack_state: State) -> Iterator[Postgres]:
    """A cluster with roles and empty schemas: `postgres.dsn("sync_app")`, `postgres.dsn("postgres")` for the admin."""
    with running_postgres(stack_state) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def valkey(stack_state: State) -> Iterator[Valkey]:
    """`valkey.url` is a redis:// URL with its password."""
    server = Valkey(stack_state, free_port())
    process = Running(server.spec(), stack_state.logs)
    try:
        process.start()
        yield server
    finally:
        process.stop()


@pytest.fixture(scope="session")
def session_broker(stack_state: State) -> Iterator[BrokerProcess]:
    with running_broker(stack_state) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(session_broker: BrokerProcess) -> str:
    """Bootstrap servers of the embedded broker, or of a real Apache Kafka with SLUICE_TEST_BROKER=kafka."""
    return session_broker.bootstrap


@pytest.fixture
def broker_process() -> Iterator[BrokerProcess]:
    """A broker of this test's own, to kill and to bring back."""
    with temporary_state() as state, running_broker(state) as broker:
        yield broker
