"""Fixtures of real parts: a fresh database cluster, a Redis-protocol server and a broker per session.

Every suite reads this file and not every one starts something: what starts the parts is loaded with the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from libs.local.postgres import Postgres
    from libs.local.state import State
    from libs.local.valkey import Valkey
    from tests.support.stack import BrokerProcess


@pytest.fixture(scope="session")
def stack_state() -> Iterator[State]:
    from tests.support.stack import temporary_state

    with temporary_state() as state:
        yield state


@pytest.fixture(scope="session")
def postgres(stack_state: State) -> Iterator[Postgres]:
    """A cluster with roles and empty schemas: `postgres.dsn("sync_app")`, `postgres.dsn("postgres")` for the admin."""
    from tests.support.stack import running_postgres

    with running_postgres(stack_state) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def valkey(stack_state: State) -> Iterator[Valkey]:
    """`valkey.url` is a redis:// URL with its password."""
    from tests.support.stack import running_valkey

    with running_valkey(stack_state) as server:
        yield server


@pytest.fixture(scope="session")
def session_broker(stack_state: State) -> Iterator[BrokerProcess]:
    from tests.support.stack import running_broker

    with running_broker(stack_state) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(session_broker: BrokerProcess) -> str:
    """Bootstrap servers of the embedded broker, or of a real Apache Kafka with SLUICE_TEST_BROKER=kafka."""
    return session_broker.bootstrap


@pytest.fixture
def broker_process() -> Iterator[BrokerProcess]:
    """A broker of this test's own, to kill and to bring back."""
    from tests.support.stack import running_broker, temporary_state

    with temporary_state() as state, running_broker(state) as broker:
        yield broker
