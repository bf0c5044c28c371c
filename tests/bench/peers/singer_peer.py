"""MeltanoLabs tap-github piped into target-postgres, with the state of the run before."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.peers.measured import Connection, Measured, Meter
from tests.bench.peers.stand_in import REPOSITORY
from tests.bench.peers.venvs import HERE, python_of
from tests.bench.peers.watched import Watched

SCHEMA = "singer_bench"


@dataclass(frozen=True)
class Singer:
    name: str
    api: str
    dsn: str
    database: Connection
    place: Path

    async def first(self) -> Measured:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        await self.database.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        self._write("tap.json", self._tap_settings())
        self._write("target.json", self._target_settings())
        self._write("state.json", {})
        self._discover()
        return await self.second()

    async def second(self) -> Measured:
        measured = await Meter(self.api, self.database, SCHEMA, "issues").measure(self._start)
        said = [line for line in (self.place / "states").read_text().splitlines() if line]
        if said:
            (self.place / "state.json").write_text(said[-1])
        return measured

    def _tap_settings(self) -> dict[str, Any]:
        return {
            "repositories": [REPOSITORY], "auth_token": "ghp_bench", "api_url_base": self.api,
            "start_date": "2026-01-01T00:00:00Z", "skip_parent_streams": True,
        }  # fmt: skip

    def _target_settings(self) -> dict[str, Any]:
        parts = urlsplit(self.dsn)
        return {
            "host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password,
            "database": parts.path.lstrip("/"), "default_target_schema": SCHEMA,
        }  # fmt: skip

    def _write(self, name: str, what: object) -> None:
        (self.place / name).write_text(json.dumps(what))

    def _tap(self) -> str:
        program = [str(python_of("singer")), str(HERE / "singer_run.py"), self.api, "--config", "tap.json"]
        return shlex.join(program)

    def _discover(self) -> None:
        """The catalogue with the one stream selected, made once and not measured."""
        found = os.popen(f"cd {shlex.quote(str(self.place))} && {self._tap()} --discover 2>>log").read()
        catalog = json.loads(found)
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] == "issues"
        self._write("catalog.json", catalog)

    def _start(self) -> Watched:
        target = python_of("singer").parent / "target-postgres"
        line = (
            f"set -o pipefail; {self._tap()} --catalog catalog.json --state state.json"
            f" | {shlex.quote(str(target))} --config target.json > states"
        )
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.place)}
        return Watched(["bash", "-c", line], environ, self.place, self.place / "log")
