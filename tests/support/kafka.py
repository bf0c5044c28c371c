"""A real single-node Apache Kafka (KRaft), because the embedded broker cannot tell whether our clients are right."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.broker import metadata_answers
from libs.local.ports import free_port
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, private_directory
from tests.support.running import Running, running

CHECKOUT = Path(__file__).resolve().parents[2]
POM = Path(__file__).parent / "kafka" / "pom.xml"
VERSION_LINE = re.compile(r"Kafka version: (\S+)")
SHIPPED = CHECKOUT / "deploy" / "kafka" / "server.properties"
LOGGING = CHECKOUT / "deploy" / "kafka" / "log4j2.properties"


class RealKafka(Running):
    """One broker on one port; its log outlives it."""

    flavour = "kafka"

    def __init__(self, place: Path) -> None:
        self._place = private_directory(place)
        self.port = free_port()
        self._controller = free_port([self.port])
        super().__init__(self._spec(), place)

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def version(self) -> str:
        """As the broker itself wrote it at its last start."""
        versions = VERSION_LINE.findall(self.log.read_text(errors="replace"))
        if not versions:
            raise LookupError(f"the broker told no version in {self.log}")
        return str(versions[-1])

    def forget(self) -> None:
        shutil.rmtree(self._place / "data", ignore_errors=True)

    def _spec(self) -> ProcessSpec:
        async def ready() -> bool:
            return await metadata_answers(self.bootstrap)

        return ProcessSpec(
            name="kafka", argv=[*java(), "kafka.Kafka", str(self._properties)], env=dict(os.environ),
            cwd=self._place, ready=ready, prepare=self._format, stop_signal=signal.SIGTERM, stop_seconds=20.0,
        )  # fmt: skip

    @property
    def _properties(self) -> Path:
        return self._place / "server.properties"

    def _format(self) -> None:
        settings = server_settings(self.port, self._controller, self._place / "data")
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not (self._place / "data").exists():
            # The first byte is fixed: an id that begins with "-" would be read as an option.
            cluster_id = urlsafe_b64encode(b"s" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
            subprocess.run([*java(), *tool], check=True, capture_output=True, timeout=60)


def server_settings(port: int, controller: int, data: Path) -> dict[str, str]:
    """The settings that are shipped, at this machine's places and with fewer partitions of its own."""
    lines = (line.partition("=") for line in SHIPPED.read_text().splitlines() if line and not line.startswith("#"))
    return {key: value for key, _, value in lines} | {
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "log.dirs": str(data),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
    }


@contextmanager
def real_kafka() -> Iterator[RealKafka]:
    """A fresh one, in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="sluice-kafka-") as place:
        with running(RealKafka(Path(place))) as broker:
            yield broker


@dataclass(frozen=True)
class Libraries:
    """The jars, copied once per content of the pom."""

    place: Path
    pom: Path = POM

    def resolve(self) -> Path:
        private_directory(self.place)
        with (self.place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._copied()

    def _copied(self) -> Path:
        library, stamp = self.place / "lib", self.place / "pom.sha256"
        digest = hashlib.sha256(self.pom.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != digest:
            shutil.rmtree(library, ignore_errors=True)
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={library}"]
            subprocess.run(["mvn", "-q", "-B", "-f", str(self.pom), *goal], check=True, timeout=600)
            stamp.write_text(digest)
        return library


def java() -> list[str]:
    library = Libraries(CHECKOUT / ".sluice" / "kafka").resolve()
    java = shutil.which("java")
    if java is None:
        raise FileNotFoundError("a real Kafka needs a Java runtime (17 or later) on the PATH")
    logging = f"-Dlog4j2.configurationFile={LOGGING}"
    return [java, "-Xmx512m", logging, "-cp", f"{library}/*"]
