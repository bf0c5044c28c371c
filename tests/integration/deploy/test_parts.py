"""The two parts of docker-compose.yml that start by a script of ours: it is run here, on the same programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from libs.common.testing.eventually import eventually
from libs.local import valkey
from libs.local.identity import command_of
from libs.local.ports import free_port
from libs.local.state import LOOPBACK
from tests.support.deployment import COMPOSE, ROOT
from tests.support.kafka import java, server_settings

PARTS: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
PASSWORD = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@contextmanager
def started(script: str, environ: dict[str, str], place: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sh", "-c", script], env=environ, cwd=place, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


async def test_valkey_starts_behind_its_password_which_no_argument_shows(tmp_path: Path) -> None:
    (tmp_path / "valkey-server").symlink_to(valkey.program())
    port = free_port()
    script = PARTS["valkey"]["command"][2].replace("$$", "$").replace("/tmp/valkey.conf", str(tmp_path / "conf"))
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "VALKEY_PASSWORD": PASSWORD}
    with started(f"{script} --bind {LOOPBACK} --port {port}", environ, tmp_path) as process:
        async with Redis(host=LOOPBACK, port=port, password=PASSWORD) as client:

            async def answers() -> bool:
                try:
                    return bool(await client.ping())
                except RedisError:
                    return False

            await eventually(answers, timeout=30)
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-ttl"}
            assert await client.config_get("save") == {"save": ""}
        async with Redis(host=LOOPBACK, port=port) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
        shown = command_of(process.pid)
        assert "valkey-server" in shown
        assert PASSWORD not in shown


@pytest.mark.skipif(not (shutil.which("java") and shutil.which("mvn")), reason="Apache Kafka needs Java and Maven")
def test_kafka_formats_its_log_once_and_keeps_its_cluster(tmp_path: Path) -> None:
    programs, data = tmp_path / "bin", tmp_path / "data"
    programs.mkdir()
    write_program(programs / "kafka-storage.sh", [*java(), "kafka.tools.StorageTool"])
    write_program(programs / "kafka-server-start.sh", ["echo", "started with"])
    config = tmp_path / "server.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in server_settings(1, 2, data).items()))
    script = (ROOT / "deploy" / "kafka" / "start.sh").read_text()
    for name, here in {"/opt/kafka/bin": programs, "/var/lib/kafka/data": data, "/etc/sluice": tmp_path}.items():
        script = script.replace(name, str(here))
    assert run_script(script).endswith(f"started with {config}\n")
    cluster = (data / "meta.properties").read_text()
    assert "cluster.id=" in cluster
    assert run_script(script) == f"started with {config}\n", "the second start formats nothing"
    assert (data / "meta.properties").read_text() == cluster


def write_program(path: Path, command: list[str]) -> None:
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{part}'" for part in command) + ' "$@"\n')
    path.chmod(0o755)


def run_script(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
