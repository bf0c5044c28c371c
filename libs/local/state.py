"""Where local state lives: one directory per checkout, so that `make clean` can remove all of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVICES = ("auth", "webhooks", "sync", "chunker")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class State:
    """The directory `<root>/.sluice` and the name of every place in it."""

    home: Path

    @classmethod
    def at(cls, root: Path) -> "State":
        state = cls(root.resolve() / ".sluice")
        state.create()
        return state

    @property
    def root(self) -> Path:
        return self.home.parent

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def service_keys(self) -> Path:
        return self.keys / "services"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def traces(self) -> Path:
        return self.home / "traces"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def pages(self) -> Path:
        return self.home / "pages"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def wheels_home(self) -> Path:
        return self.home / "home"

    @property
    def wheels_runtime(self) -> Path:
        return self.home / "runtime"

    @property
    def sandbox(self) -> Path:
        return self.home / "sandbox"

    @property
    def endpoints(self) -> Path:
        return self.home / "endpoints.json"

    @property
    def credentials(self) -> Path:
        return self.keys / "credentials.json"

    @property
    def api_key(self) -> Path:
        return self.keys / "api-key"

    @property
    def ledger(self) -> Path:
        return self.run / "processes.json"

    @property
    def lock(self) -> Path:
        return self.run / "supervisor.lock"

    def create(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        # As root the database runs under another account, which must be able to pass through; it can list nothing.
        self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for place in (self.keys, self.service_keys, self.logs, self.run, self.pages, self.traces, self.valkey):
            private_directory(place)
        for place in (self.wheels_home, self.wheels_runtime, self.sandbox):
            private_directory(place)

    def wheel_environment(self) -> dict[str, str]:
        """A clean environment for the embedded programs: they write into HOME and XDG_*, never the user's own."""
        kept = {name: os.environ[name] for name in ("PATH", "TZ", "TMPDIR") if name in os.environ}
        home = str(self.wheels_home)
        places = {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        return {**kept, **places, "XDG_RUNTIME_DIR": str(self.wheels_runtime), "LC_ALL": "C"}

    @contextmanager
    def as_wheel_home(self) -> Iterator[None]:
        """HOME and XDG_RUNTIME_DIR of this process point into the state while a wheel unpacks itself."""
        changed = {"HOME": str(self.wheels_home), "XDG_RUNTIME_DIR": str(self.wheels_runtime)}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            yield
        finally:
            _restore(before)


def find_root() -> Path:
    """The checkout that owns the state: SLUICE_HOME's parent, else the nearest directory with a pyproject.toml."""
    if home := os.environ.get("SLUICE_HOME"):
        return Path(home).resolve().parent
    here = Path.cwd()
    return next((place for place in (here, *here.parents) if (place / "pyproject.toml").is_file()), here)


def private_directory(place: Path) -> Path:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o700)
    return place


def write_private(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never half of it; nobody else sees either."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
