"""Every entry point of docker-compose.yml out of the image's own tree, closed to writing, as an account that is nobody.

No container engine: the same files, commands, environment and order, at this machine's addresses.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from dotenv import dotenv_values

from libs.common.testing.eventually import eventually
from libs.local.deploy.fill import make_env
from libs.local.models import model_directory
from libs.local.ports import free_port
from libs.local.postgres import ADMIN
from libs.local.state import LOOPBACK, SERVICES, State
from libs.local.valkey import Valkey
from tests.support.deployment import COMPOSE, ROOT, image_tree, remove_tree
from tests.support.kafka import RealKafka
from tests.support.running import Running
from tests.support.stack import BrokerProcess, EmbeddedBroker, running_postgres, temporary_state

PARTS: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")
DOCKERFILE = ROOT / "deploy" / "image" / "Dockerfile"
NOBODY = 65532
LARGEST_MB = 440
# As in the Dockerfile. The interpreter may lie below a directory that is closed to others: it may read, never write.
IMAGE = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1", "HOME": "/nonexistent"}
CONFINED = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs",
            "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # fmt: skip


@dataclass(frozen=True)
class Installation:
    """`values` fills the variables of compose; `addresses` says how its names are called on this machine."""

    tree: Path
    keys: Path
    values: Mapping[str, str]
    addresses: Mapping[str, str]
    ports: Mapping[str, int]
    flavour: str

    def environment(self, part: str) -> dict[str, str]:
        given = PARTS[part].get("environment") or {}
        told = {name: self._here(value) for name, value in given.items() if value is not None}
        flavour = {"KAFKA_FLAVOUR": self.flavour} if "KAFKA_FLAVOUR" in told else {}
        http = {"HTTP_HOST": LOOPBACK, "HTTP_PORT": str(self.ports.get(part, 0))}
        return {**IMAGE, **http, "PYTHONPATH": str(self.tree), **told, **flavour}

    def command(self, part: str) -> list[str]:
        return [*python(), "-m", *map(self._here, PARTS[part]["command"])]

    def run(self, part: str) -> None:
        """A one-shot, to its end."""
        done = subprocess.run(
            self.command(part), env=self.environment(part), cwd="/", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{part}: {done.stdout}{done.stderr}"

    @contextmanager
    def serving(self, service: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command(service), env=self.environment(service), cwd="/", stdout=out, stderr=out
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _here(self, text: str) -> str:
        filled = VARIABLE.sub(lambda found: self.values[found[1]], text)
        for name, address in self.addresses.items():
            filled = filled.replace(name, address)
        return filled


def python() -> list[str]:
    """The bare interpreter: root becomes an account that owns nothing, anybody else is one already."""
    return [*(CONFINED if os.geteuid() == 0 else []), os.path.realpath(sys.executable)]


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """Where every account may pass, as in an image: alembic asks access(2), which knows no capability."""
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as place:
        Path(place).chmod(0o711)
        made = image_tree(Path(place))
        yield made
        remove_tree(made)


@contextmanager
def running_valkey(state: State) -> Iterator[Valkey]:
    server = Valkey(state, free_port())
    process = Running(server.spec(), state.logs)
    try:
        process.start()
        yield server
    finally:
        process.stop()


@contextmanager
def best_broker(state: State) -> Iterator[BrokerProcess]:
    """Apache Kafka with the settings that are shipped, where this machine has Java; else the embedded one."""
    real = shutil.which("java") and shutil.which("mvn")
    broker: BrokerProcess = RealKafka(state.home / "kafka") if real else EmbeddedBroker(state)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def installation(tree: Path) -> Iterator[Installation]:
    """Keys, roles, schemas and migrations are made, by the one-shots."""
    with temporary_state() as state, running_postgres(state) as cluster, running_valkey(state) as valkey:
        with best_broker(state) as broker:
            ports = {name: free_port() for name in SERVICES}
            places = {
                "@postgres:5432": f"@{LOOPBACK}:{cluster.port}", "@valkey:6379": f"@{LOOPBACK}:{valkey.port}",
                "kafka:9092": broker.bootstrap, "/keys": str(fresh_volume(state)),
                "/opt/model": str(model_place()),
                **{f"http://{name}:8000": f"http://{LOOPBACK}:{port}" for name, port in ports.items()},
            }  # fmt: skip
            made = {"POSTGRES_PASSWORD": cluster.passwords()[ADMIN], "VALKEY_PASSWORD": urlsplit(valkey.url).password}
            values = filled_environment(state) | {name: value or "" for name, value in made.items()}
            found = Installation(tree, Path(places["/keys"]), values, places, ports, broker.flavour)
            prepare(found)
            yield found


def model_place() -> Path:
    """Where the image has the embedding model; the one of this checkout stands for it."""
    return model_directory(State.at(ROOT)) or Path("/opt/model")


def prepare(installation: Installation) -> None:
    installation.run("keys")
    installation.run("database")
    with ThreadPoolExecutor() as pool:
        list(pool.map(installation.run, [f"migrate-{name}" for name in SERVICES]))


def fresh_volume(state: State) -> Path:
    place = state.home / "volume"
    place.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
        state.home.parent.chmod(0o711)
    return place


def filled_environment(state: State) -> dict[str, str]:
    shutil.copy(ROOT / ".env.example", state.root)
    make_env(state.root)
    return {name: value or "" for name, value in dotenv_values(state.root / ".env", interpolate=False).items()}


@pytest.mark.parametrize("service", SERVICES)
async def test_service_becomes_ready_and_ends_in_order(
    installation: Installation, service: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with installation.serving(service, log) as process:
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{installation.ports[service]}") as client:

            async def ready() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, timeout=40.0, interval=0.1)
            assert (await client.get("/metrics")).status_code == 200
            has_model = (await client.get("/readyz")).json()["checks"].get("embedder")
            assert has_model is (model_place().is_dir() if service == "chunker" else None)
        assert await asyncio.to_thread(probe, installation.ports[service]) == 0
        assert_confined(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert "service_stopped" in log.read_text()
    assert "Traceback" not in log.read_text()


def probe(port: int) -> int:
    """The image's own HEALTHCHECK, at this port."""
    said = re.search(r"^HEALTHCHECK .*?CMD (\[.*?\])$", DOCKERFILE.read_text(), re.DOTALL | re.MULTILINE)
    assert said is not None
    _, *arguments = json.loads(said[1])
    command = [*python(), *(argument.replace(":8000", f":{port}") for argument in arguments)]
    return subprocess.run(command, cwd="/", capture_output=True).returncode


def test_probe_of_a_service_that_is_away_fails() -> None:
    assert probe(free_port()) == 1


def assert_confined(pid: int) -> None:
    if sys.platform != "linux":
        return
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert "0" not in status["Uid"].split()
    if os.geteuid() == 0:
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 1 << 2, "reading alone (CAP_DAC_READ_SEARCH)"


def test_account_of_the_services_can_change_nothing_of_the_tree(installation: Installation) -> None:
    program = "import sys; open(sys.argv[1], 'a')"
    for path in ("libs/common/runtime.py", "libs/common/new.py", "new.py"):
        done = subprocess.run(
            [*python(), "-c", program, str(installation.tree / path)], capture_output=True, text=True, cwd="/"
        )
        assert "PermissionError" in done.stderr, path


def test_each_service_has_its_own_private_key_and_the_public_ones_of_all(installation: Installation) -> None:
    for service in SERVICES:
        found = {path.name for path in (installation.keys / service).iterdir()}
        assert found == {f"{service}.private.pem", *(f"{name}.public.pem" for name in SERVICES)}
        for name in SERVICES:
            copies = [(installation.keys / where / f"{name}.public.pem").read_bytes() for where in (service, name)]
            assert copies[0] == copies[1]


def test_one_shots_may_run_again(installation: Installation) -> None:
    private = installation.keys / "auth" / "auth.private.pem"
    before = private.read_bytes()
    prepare(installation)
    assert private.read_bytes() == before


@pytest.mark.parametrize("missing", ["AUTH_OWNER_PASSWORD", "ADMIN_DATABASE_URL"])
def test_one_shot_without_a_variable_names_it(installation: Installation, missing: str) -> None:
    given = {name: value for name, value in installation.environment("database").items() if name != missing}
    done = subprocess.run(installation.command("database"), env=given, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"{missing} is not set\n")


def test_image_is_small_and_holds_no_test_and_no_stand_in(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) / 1e6
    with capsys.disabled():
        print(f"\nfigure image_tree value={size:.0f} unit=MB against={LARGEST_MB}")
    assert size < LARGEST_MB
    ours = [path.relative_to(tree).parts for room in ("libs", "services") for path in (tree / room).rglob("*")]
    assert [parts for parts in ours if {"tests", "fixtures", "sandbox", "sandbox.py"} & set(parts)] == []
    assert not (tree / "pip").exists()
    assert not (tree / "pytest").exists()
