"""A real single-node OpenSearch with k-NN, because no double of ours could tell whether our questions are right.

Its jars come from Maven, which has no distribution: what one lays out is laid out here, the modules that a node needs
to speak HTTP and to run scripts, and the k-NN plugin as it is shipped. Searches of vectors are Lucene's own: no native
library is loaded, and without JNA (which nothing else here needs) a node also starts as root.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libs.local.ports import free_port
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, private_directory
from tests.support.kafka import CHECKOUT, Libraries
from tests.support.running import Running, running

POM = Path(__file__).parent / "opensearch" / "pom.xml"
VERSION = "2.19.1"
MODULES = {
    "transport-netty4": ("org.opensearch.transport.Netty4Plugin", ("netty-*", "transport-netty4-*")),
    "lang-painless": (
        "org.opensearch.painless.PainlessPlugin",
        ("antlr4-*", "asm-*", "lang-painless-*", "opensearch-scripting-painless-spi-*"),
    ),
}
DESCRIPTOR = """description={name}
version={version}
name={name}
classname={main}
java.version=11
opensearch.version={version}
custom.foldername=
extended.plugins=
has.native.controller=false
"""
SETTINGS = """cluster.name: sluice-tests
node.name: one
discovery.type: single-node
network.host: {host}
http.port: {port}
transport.port: {transport}
path.data: {place}/data
path.logs: {place}/logs
cluster.routing.allocation.disk.threshold_enabled: false
"""
LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
POLICY = "grant { permission java.security.AllPermission; };\n"


class RealOpenSearch(Running):
    """One node on one port; its indices outlive it."""

    def __init__(self, place: Path, heap: str = "512m") -> None:
        self._place = private_directory(place)
        self._heap = heap
        self.port = free_port()
        self._transport = free_port([self.port])
        super().__init__(self._spec(), place)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _spec(self) -> ProcessSpec:
        return ProcessSpec(
            name="opensearch", argv=self._command, env=dict(os.environ), cwd=self._place,
            ready=f"{self.url}/_cluster/health", prepare=self._lay_out, stop_signal=signal.SIGTERM,
            stop_seconds=20.0, start_seconds=120.0,
        )  # fmt: skip

    def _command(self) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise FileNotFoundError("a real OpenSearch needs a Java runtime (17 to 23) on the PATH")
        options = {
            "java.security.manager": "allow",
            "java.security.policy": str(self._place / "policy"),
            "jna.nosys": "true",
            "jna.nounpack": "true",
            "jna.boot.library.path": "/nonexistent",
            "java.io.tmpdir": str(self._place / "tmp"),
            "opensearch.path.home": str(self._place),
            "opensearch.path.conf": str(self._place / "config"),
            "opensearch.distribution.type": "tar",
            "io.netty.allocator.type": "unpooled",
        }
        heap = [f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:TieredStopAtLevel=4"]
        given = [f"-D{name}={value}" for name, value in options.items()]
        return [java, *heap, *given, "-cp", f"{self._place}/lib/*", "org.opensearch.bootstrap.OpenSearch"]

    def _lay_out(self) -> None:
        if not (self._place / "lib").exists():
            lay_out(Libraries(CHECKOUT / ".sluice" / "opensearch", POM).resolve(), self._place)
        for name in ("config", "tmp", "data", "logs"):
            (self._place / name).mkdir(exist_ok=True)
        settings = SETTINGS.format(host=LOOPBACK, port=self.port, transport=self._transport, place=self._place)
        (self._place / "config" / "opensearch.yml").write_text(settings)
        (self._place / "config" / "log4j2.properties").write_text(LOGGING)
        (self._place / "policy").write_text(POLICY)


def lay_out(jars: Path, place: Path) -> None:
    """As the distribution does: modules and plugins each in a folder with a descriptor, all else in lib."""
    library = place / "lib"
    shutil.copytree(jars, library, copy_function=os.symlink)
    for name, (main, patterns) in MODULES.items():
        module = place / "modules" / name
        module.mkdir(parents=True)
        for pattern in patterns:
            for jar in library.glob(pattern):
                jar.rename(module / jar.name)
        descriptor = DESCRIPTOR.format(name=name, main=main, version=VERSION)
        (module / "plugin-descriptor.properties").write_text(descriptor)
    for archive in library.glob("*.zip"):
        with zipfile.ZipFile(archive) as plugin:
            plugin.extractall(place / "plugins" / "opensearch-knn")
        archive.unlink()


@contextmanager
def real_opensearch(heap: str = "512m") -> Iterator[RealOpenSearch]:
    """A fresh one, in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="sluice-opensearch-") as place:
        with running(RealOpenSearch(Path(place) / "node", heap)) as node:
            yield node
