"""Where a running installation answers: written when all is ready, read by the command line and by tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from libs.local import roles
from libs.local.roles import ADMIN
from libs.local.state import LOOPBACK, SERVICES, State, write_private

if TYPE_CHECKING:
    from libs.local.environment import Addresses
    from libs.local.postgres import Postgres


class Endpoints(msgspec.Struct, frozen=True, rename="camel"):
    """endpoints.json. No password stands in it: `key_file` holds the API key, `credentials_file` the full URLs."""

    gateway: str
    services: dict[str, str]
    kafka: str
    kafka_flavour: str
    redis: str
    postgres: str
    sandbox: str | None
    key_file: str
    credentials_file: str
    logs: str


class RoleUrls(msgspec.Struct, frozen=True):
    owner: str
    app: str
    worker: str


class Credentials(msgspec.Struct, frozen=True):
    """keys/credentials.json: URLs with their passwords, for operators and tests, readable by their owner alone."""

    admin: str
    redis: str
    services: dict[str, RoleUrls]


def write_endpoints(state: State, addresses: Addresses, cluster: Postgres) -> None:
    write_private(state.credentials, _pretty(credentials(addresses, cluster)))
    write_private(state.endpoints, _pretty(describe(state, addresses, cluster)))


def read_endpoints(state: State) -> Endpoints | None:
    return msgspec.json.decode(state.endpoints.read_bytes(), type=Endpoints) if state.endpoints.exists() else None


def read_credentials(state: State) -> Credentials:
    return msgspec.json.decode(state.credentials.read_bytes(), type=Credentials)


def credentials(addresses: Addresses, cluster: Postgres) -> Credentials:
    urls = {service: RoleUrls(*map(cluster.dsn, roles.role_names(service))) for service in SERVICES}
    return Credentials(admin=cluster.dsn(ADMIN), redis=addresses.redis, services=urls)


def describe(state: State, addresses: Addresses, cluster: Postgres) -> Endpoints:
    return Endpoints(
        gateway=addresses.gateway, services=dict(addresses.services), kafka=addresses.kafka,
        kafka_flavour=addresses.kafka_flavour, redis=f"redis://{addresses.redis.rpartition('@')[2]}",
        postgres=f"postgresql://{LOOPBACK}:{cluster.port}/{roles.DATABASE}", sandbox=addresses.sandbox,
        key_file=str(state.api_key), credentials_file=str(state.credentials), logs=str(state.logs),
    )  # fmt: skip


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value))
