"""The whole embedded stack with dummy services: killed, brought back, taken down."""

import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.common.testing.eventually import eventually
from libs.local.broker import metadata_answers
from libs.local.endpoints import Endpoints, read_credentials, read_endpoints
from libs.local.ledger import Entry, Page, read_ledger
from libs.local.state import State
from libs.local.up import StartFailed, down, running, up
from tests.support.dummy_services import write_checkout


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="sluice-stack-"))
    write_checkout(root)
    try:
        yield root
    finally:
        down(root)
        shutil.rmtree(root)


@pytest.fixture
def endpoints(checkout: Path) -> Endpoints:
    return up(checkout)


def page_of(checkout: Path) -> Page:
    page = read_ledger(State.at(checkout).ledger)
    assert page is not None
    return page


def entry_of(checkout: Path, name: str) -> Entry:
    return page_of(checkout).processes[name]


def pid_of(checkout: Path, name: str) -> int:
    identity = entry_of(checkout, name).identity
    assert identity is not None
    return identity.pid


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


async def admin(checkout: Path) -> asyncpg.Connection:
    return await asyncpg.connect(read_credentials(State.at(checkout)).admin)


async def test_running_stack_answers_at_every_endpoint(checkout: Path, endpoints: Endpoints) -> None:
    assert get(f"{endpoints.gateway}/healthz") == "ok"
    assert get(f"{endpoints.gateway}/v1/sources/7").endswith(" /v1/sources/7")
    assert get(f"{endpoints.gateway}/openapi/sync").endswith(" /schema/openapi.json")
    assert "Sluice" in get(f"{endpoints.gateway}/")
    assert await metadata_answers(endpoints.kafka)
    connection = await admin(checkout)
    assert await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000") == 18
    await connection.close()


def test_endpoints_tell_places_but_no_secret(checkout: Path, endpoints: Endpoints) -> None:
    state = State.at(checkout)
    text = state.endpoints.read_text()
    assert "@" not in text
    assert Path(endpoints.key_file).read_text().startswith("slk_")
    assert Path(endpoints.key_file).read_text() not in text
    assert {path.stat().st_mode & 0o777 for path in (state.endpoints, state.ledger, state.credentials)} == {0o600}


@pytest.mark.parametrize("name", ["postgres", "valkey", "broker", "front-door", "sync"])
async def test_killed_process_is_back_by_itself(checkout: Path, endpoints: Endpoints, name: str) -> None:
    before = entry_of(checkout, name)
    assert before.identity is not None
    os.kill(before.identity.pid, signal.SIGKILL)

    def back() -> None:
        now = entry_of(checkout, name)
        assert now.state == "ready"
        assert now.identity != before.identity

    await eventually(back, timeout=20)
    assert entry_of(checkout, name).restarts == before.restarts + 1
    others = page_of(checkout).processes.items()
    assert all(entry.state in ("ready", "done") for other, entry in others if other != name)


async def test_committed_rows_outlive_a_killed_database(checkout: Path, endpoints: Endpoints) -> None:
    connection = await admin(checkout)
    await connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 41 AS n")
    os.kill(pid_of(checkout, "postgres"), signal.SIGKILL)

    async def read() -> bool:
        try:
            again = await admin(checkout)
        except (OSError, asyncpg.PostgresError):
            return False
        answer = await again.fetchval("SELECT n FROM kept")
        await again.close()
        return bool(answer == 41)

    await eventually(lambda: connection.is_closed(), timeout=20)
    await eventually(read, timeout=20)


async def test_second_up_leaves_what_runs_alone(checkout: Path, endpoints: Endpoints) -> None:
    before = page_of(checkout).supervisor
    assert up(checkout) == endpoints
    assert page_of(checkout).supervisor == before


async def test_killed_supervisor_leaves_no_process_to_its_successor(checkout: Path, endpoints: Endpoints) -> None:
    before = page_of(checkout)
    os.kill(before.supervisor.pid, signal.SIGKILL)
    assert before.supervisor.gone_within(5)
    assert up(checkout) == endpoints
    assert page_of(checkout).supervisor != before.supervisor
    assert not [name for name, entry in before.processes.items() if entry.identity and entry.identity.alive()]


async def test_down_leaves_no_process_and_up_comes_back_on_its_data(checkout: Path, endpoints: Endpoints) -> None:
    connection = await admin(checkout)
    await connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS n")
    await connection.close()
    before = page_of(checkout)
    down(checkout)
    assert not running(State.at(checkout))
    assert not [name for name, entry in before.processes.items() if entry.identity and entry.identity.alive()]
    assert read_endpoints(State.at(checkout)) is None

    assert up(checkout) == endpoints
    connection = await admin(checkout)
    assert await connection.fetchval("SELECT n FROM kept") == 42
    await connection.close()


async def test_failing_migration_ends_up_with_its_own_words(checkout: Path) -> None:
    down(checkout)
    obstacle = checkout / "refuse-to-migrate"
    obstacle.touch()
    try:
        with pytest.raises(StartFailed, match="relation of yesterday is missing"):
            up(checkout)
    finally:
        obstacle.unlink()
        down(checkout)
