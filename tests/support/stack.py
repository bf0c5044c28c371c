"""Real parts for as long as a test or a bench needs them: a database cluster, a Redis-protocol server, a broker."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from libs.local.broker import Broker
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from libs.local.state import State
from libs.local.valkey import Valkey
from tests.support.kafka import RealKafka
from tests.support.running import Running, running


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


class EmbeddedBroker(Running):
    """Tansu, which keeps everything in memory: it always returns empty."""

    flavour = "embedded"

    def __init__(self, state: State) -> None:
        self._broker = Broker(state, free_port())
        super().__init__(self._broker.spec(), state.logs)

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def version(self) -> str:
        """As the broker itself wrote it at its last start."""
        words = [line.split()[-1] for line in self.log.read_text().splitlines() if "tansu broker" in line]
        return words[-1]


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
    with running(Running(cluster.spec(), state.logs)):
        yield cluster


@contextmanager
def running_broker(state: State) -> Iterator[BrokerProcess]:
    real = broker_flavour() == "kafka"
    with running(RealKafka(state.home / "kafka") if real else EmbeddedBroker(state)) as broker:
        yield broker


@contextmanager
def running_valkey(state: State) -> Iterator[Valkey]:
    server = Valkey(state, free_port())
    with running(Running(server.spec(), state.logs)):
        yield server
