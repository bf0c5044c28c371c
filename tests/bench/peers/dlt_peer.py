"""dlt's rest_api source, merged into Postgres by id, incremental by `updated_at`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.measured import Connection, Measured, Meter
from tests.bench.peers.venvs import HERE, python_of
from tests.bench.peers.watched import Watched

DATASET = "dlt_bench"


@dataclass(frozen=True)
class Dlt:
    """`shape`: flat keeps everything below an issue as JSON, nested gives each list a table of its own."""

    name: str
    shape: str
    api: str
    dsn: str
    database: Connection
    place: Path

    async def first(self) -> Measured:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        for schema in (DATASET, f"{DATASET}_staging"):
            await self.database.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        return await self.second()

    async def second(self) -> Measured:
        return await Meter(self.api, self.database, DATASET, "issues").measure(self._start)

    def _start(self) -> Watched:
        program = [str(python_of("dlt")), str(HERE / "dlt_run.py")]
        given = [self.api, self.dsn, DATASET, str(self.place / "pipelines"), self.shape]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.place)}
        return Watched([*program, *given], environ, self.place, self.place / "log")
