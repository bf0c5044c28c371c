"""Which processes make an installation: the embedded parts, the four services and, if asked, the stand-ins."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from libs.local.broker import Broker
from libs.local.environment import Addresses, migrate_environment, service_environment
from libs.local.front_door import FrontDoor
from libs.local.keys import sandbox_client_secret
from libs.local.ports import stable_ports
from libs.local.postgres import Postgres
from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, SERVICES, State
from libs.local.valkey import Valkey

INFRASTRUCTURE = ("postgres", "valkey", "broker", "gateway")


@dataclass(frozen=True)
class Stack:
    """The processes in start order, and where they will answer."""

    specs: Sequence[ProcessSpec]
    addresses: Addresses
    cluster: Postgres


def build(state: State, *, sandbox: bool) -> Stack:
    ports = stable_ports(state, [*INFRASTRUCTURE, *SERVICES, "sandbox"])
    cluster, valkey = Postgres(state, ports["postgres"]), Valkey(state, ports["valkey"])
    broker = Broker(state, ports["broker"])
    upstreams = {name: f"{LOOPBACK}:{ports[name]}" for name in SERVICES}
    door = FrontDoor(state, ports["gateway"], upstreams, state.root / "deploy" / "gateway" / "routes.json")
    addresses = Addresses(
        gateway=door.url, services={name: f"http://{place}" for name, place in upstreams.items()},
        kafka=broker.bootstrap, redis=valkey.url,
        sandbox=f"http://{LOOPBACK}:{ports['sandbox']}" if sandbox else None,
    )  # fmt: skip
    infrastructure = [cluster.spec(), valkey.spec(), broker.spec(), door.spec()]
    stand_ins = [sandbox_spec(state, addresses.sandbox, ports["sandbox"])] if addresses.sandbox else []
    below = tuple(spec.name for spec in infrastructure + stand_ins)
    services = [spec for name in SERVICES for spec in service_specs(state, name, addresses, cluster, below)]
    return Stack([*infrastructure, *stand_ins, *services], addresses, cluster)


def service_specs(
    state: State, name: str, addresses: Addresses, cluster: Postgres, below: tuple[str, ...]
) -> tuple[ProcessSpec, ProcessSpec]:
    """The migration of one service, and the service, which starts when its migration has ended well."""
    command = [sys.executable, "-m", f"services.{name}"]
    migrate = ProcessSpec(
        name=f"migrate-{name}", argv=[*command, "migrate"], once=True, depends_on=("postgres",), cwd=state.root,
        env=migrate_environment(state, name, addresses, cluster),
    )  # fmt: skip
    serve = ProcessSpec(
        name=name, argv=[*command, "serve"], env=service_environment(state, name, addresses, cluster), cwd=state.root,
        ready=f"{addresses.services[name]}/readyz", depends_on=(*below, migrate.name),
        stop_seconds=20.0, start_seconds=120.0,
    )  # fmt: skip
    return migrate, serve


def sandbox_spec(state: State, url: str, port: int) -> ProcessSpec:
    places = ["--root", str(state.root), "--state", str(state.sandbox)]
    return ProcessSpec(
        name="sandbox", argv=[sys.executable, "-m", "libs.sandbox", "serve", "--port", str(port), *places],
        env={**os.environ, "SANDBOX_GITHUB_CLIENT_SECRET": sandbox_client_secret(state)}, cwd=state.root,
        ready=f"{url}/healthz",
    )  # fmt: skip
