"""10,000 issues of 7 KB from one stand-in into one Postgres: our sync service beside dlt and a Singer tap.

Each tool is a process of its own that starts cold, and its time begins with that process: interpreter, imports and
connections count for everybody. It ends with the last process of a peer's line, and with our run told as finished; our
service goes on then, and how it ends does not count. What is made once (the schema, the tap's catalogue) counts for
nobody. The tools take turns. A figure is the median of the rounds, a ratio the median of what each round's own two say.

Ours runs twice: `workers` is the role that copies, as a replica of it alone is deployed, and does what the peers do;
`whole` loads its HTTP surface and its consumers beside the first pages. Fails below its bars, which are the workers'.
SLUICE_BENCH=long adds 100,000 issues, for memory.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from statistics import median
from typing import Protocol

import asyncpg

from libs.common.database.engine import Database
from libs.common.security.principals import make_service_keys
from libs.local.ports import free_port
from libs.local.postgres import ADMIN, Postgres
from libs.local.state import State
from libs.local.valkey import Valkey
from tests.bench.peers.dlt_peer import Dlt
from tests.bench.peers.measured import Measured
from tests.bench.peers.ours import Ours, environment
from tests.bench.peers.singer_peer import Singer
from tests.bench.peers.venvs import ROOT, python_of, version_of
from tests.support.running import Running
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_broker, running_postgres, temporary_state

ISSUES = int(os.environ.get("SLUICE_BENCH_ISSUES", "10000"))
MANY = 100_000
ROUNDS = 3
MOST_MEMORY_MB = 120
LEAST_RATIO = {"dlt_flat": 2.5, "tap_github": 5.0}
OURS = ("workers", "whole")
COPY = ("source", "source_part", "changed_file", "push", "quarantined_item")


class Tool(Protocol):
    name: str

    async def first(self) -> Measured: ...
    async def second(self) -> Measured: ...


def main() -> int:
    """1 when a bar is missed."""
    for package, name in (
        ("dlt", "dlt"),
        ("meltanolabs-tap-github", "singer"),
        ("meltanolabs-target-postgres", "singer"),
    ):
        print(f"{package} {version_of(python_of(name), package)}")
    with temporary_state() as state, running_postgres(state) as postgres, running_parts(state) as parts:
        migrate_schemas(postgres, "sync")
        return 0 if asyncio.run(_bench(state, postgres, parts)) else 1


@contextmanager
def running_parts(state: State) -> Iterator[dict[str, str]]:
    """What the service needs beside Postgres, by the names of its settings."""
    valkey = Valkey(state, free_port())
    process = Running(valkey.spec(), state.logs)
    keys = state.home / "signing-keys"
    make_service_keys(keys, ["auth", "sync"])
    with running_broker(state) as broker:
        process.start()
        try:
            yield {
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "KAFKA_FLAVOUR": broker.flavour, "REDIS_URL": valkey.url,
                "SERVICE_SIGNING_KEYS_DIR": str(keys), "HTTP_PORT": str(free_port()),
            }  # fmt: skip
        finally:
            process.stop()


@contextmanager
def stand_in(issues: int) -> Iterator[str]:
    argv = [sys.executable, "-m", "tests.bench.peers.stand_in", str(issues)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@asynccontextmanager
async def ours_of(state: State, postgres: Postgres, parts: dict[str, str], api: str) -> AsyncIterator[Ours]:
    urls = {"DATABASE_URL": postgres.dsn("sync_app"), "WORKER_DATABASE_URL": postgres.dsn("sync_worker")}
    admin = await asyncpg.connect(postgres.dsn(ADMIN))
    db = Database("sync", app_url=urls["DATABASE_URL"], worker_url=urls["WORKER_DATABASE_URL"])
    environ = environment({**parts, **urls}, api)
    try:
        yield Ours("whole", environ, api, admin, db, ROOT, state.logs / "ours.log")
    finally:
        await db.close()
        await admin.close()


async def _bench(state: State, postgres: Postgres, parts: dict[str, str]) -> bool:
    with stand_in(ISSUES) as api:
        async with ours_of(state, postgres, parts, api) as ours:
            await ours.admin.execute("CREATE DATABASE peers")
            dsn = postgres.dsn(ADMIN, "peers")
            peers = await asyncpg.connect(dsn)
            tools: list[Tool] = [
                Dlt("dlt_flat", "flat", api, dsn, peers, state.home / "dlt-flat"),
                Dlt("dlt_nested", "nested", api, dsn, peers, state.home / "dlt-nested"),
                Singer("tap_github", api, dsn, peers, state.home / "singer"),
            ]
            good = await _compare(ours, tools)
            await peers.close()
    if os.environ.get("SLUICE_BENCH") == "long":
        with stand_in(MANY) as api:
            async with ours_of(state, postgres, parts, api) as ours:
                good &= await _memory(ours)
    return good


async def _compare(ours: Ours, tools: Sequence[Tool]) -> bool:
    both = [replace(ours, name="workers", only="workers"), ours]
    all_tools: list[Tool] = [*both, *tools]
    first: dict[str, list[Measured]] = {tool.name: [] for tool in all_tools}
    second: dict[str, list[Measured]] = {tool.name: [] for tool in all_tools}
    warm: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for tool in all_tools:
            measured = await tool.first()
            if measured.rows != ISSUES:
                raise AssertionError(f"{tool.name} has {measured.rows} issues: {dict(measured.written)}")
            first[tool.name].append(measured)
            if isinstance(tool, Ours):
                warm[tool.name].append(await ours.seconds_of_run())
                if await ours.events("source.changed") != ISSUES:
                    raise AssertionError("an issue was not told")
            second[tool.name].append(await tool.second())
    good = all([_tell_first(one.name, first, median(warm[one.name])) for one in both])
    _tell_tools(first)
    for name, runs in second.items():
        _tell_second(name, runs, first[name])
    await _tell_events(ours)
    return good


def _tell_first(ours: str, first: dict[str, list[Measured]], warm: float) -> bool:
    speed = _speed(first[ours])
    ratios = {name: _ratio(runs, first[ours]) for name, runs in first.items()}
    for name, ratio in ratios.items():
        _figure(f"sync_items_{ours}", speed, "items/s", name, ratio)
    _figure(f"sync_items_{ours}_without_start", ISSUES / warm, "items/s", ours, ISSUES / warm / speed)
    light = max(run.rss_mb for run in first[ours]) <= MOST_MEMORY_MB
    return light and (ours != "workers" or all(ratios[name] >= least for name, least in LEAST_RATIO.items()))


def _tell_tools(first: dict[str, list[Measured]]) -> None:
    for name, runs in first.items():
        memory = max(run.rss_mb for run in runs)
        _figure(f"sync_memory_{name}", memory, "MB", MOST_MEMORY_MB, memory / MOST_MEMORY_MB)
        rows = sum(runs[-1].written.values())
        print(f"{name}: {_speed(runs):.0f} items/s, {runs[-1].requests} requests, {rows} row versions")


def _speed(runs: Sequence[Measured]) -> float:
    return ISSUES / median(run.seconds for run in runs)


def _ratio(runs: Sequence[Measured], others: Sequence[Measured]) -> float:
    """How many times as long as the others, round by round: what is busy beside a round is busy beside both."""
    return median(run.seconds / other.seconds for run, other in zip(runs, others, strict=True))


def _tell_second(name: str, runs: Sequence[Measured], first: Sequence[Measured]) -> None:
    last = runs[-1]
    copied = sum(last.written[table] for table in (COPY if name in OURS else ("issues",)))
    seconds = median(run.seconds for run in runs)
    print(
        f"figure sync_again_{name} value={seconds:.2f} unit=s against=first_run ratio={_ratio(runs, first):.3f}"
        f" requests={last.requests}"
        f" not_modified={last.not_modified} copied={copied} rows={sum(last.written.values())}"
    )
    print(f"{name} wrote {dict(last.written)}")


async def _tell_events(ours: Ours) -> None:
    again = await ours.events("source.changed") - ISSUES
    _figure("sync_again_events", again, "events", ISSUES, again / ISSUES)


async def _memory(ours: Ours) -> bool:
    measured = await ours.first()
    if measured.rows != MANY:
        raise AssertionError(f"{measured.rows} issues")
    _figure("sync_memory_100k", measured.rss_mb, "MB", MOST_MEMORY_MB, measured.rss_mb / MOST_MEMORY_MB)
    _figure("sync_items_100k", MANY / measured.seconds, "items/s", "none", 1)
    return measured.rss_mb <= MOST_MEMORY_MB


def _figure(name: str, value: float, unit: str, against: object, ratio: float) -> None:
    print(f"figure {name} value={value:.0f} unit={unit} against={against} ratio={ratio:.3f}")


if __name__ == "__main__":
    sys.exit(main())
