"""The environment of a service: the one contract between whatever starts services and the services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotenv import dotenv_values

from libs.local.keys import api_key_digest, key_encryption_key, sandbox_client_secret, signing_keys
from libs.local.models import model_directory
from libs.local.state import LOOPBACK, State

if TYPE_CHECKING:
    from libs.local.postgres import Postgres

DEFAULT_ORIGINS = "http://localhost:5173"
SANDBOX_CLIENT_ID = "sandbox-github-client"
# Who seals what is secret, and who calls as a provider's client. Passwords are the compose file's: here DSNs hold them.
SEALING = ("auth", "webhooks")
CLIENT = "auth"
EMBEDDING = "chunker"


@dataclass(frozen=True)
class Addresses:
    """Where the parts of one installation answer. `services`: name → http URL; `sandbox`: http URL or None."""

    gateway: str
    services: Mapping[str, str]
    kafka: str
    redis: str
    sandbox: str | None
    kafka_flavour: str = "embedded"


def shared_environment(state: State, addresses: Addresses) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
        "KAFKA_FLAVOUR": addresses.kafka_flavour,
        "REDIS_URL": addresses.redis,
        "PUBLIC_URL": os.environ.get("PUBLIC_URL", addresses.gateway),
        "CORS_ALLOWED_ORIGINS": os.environ.get("CORS_ALLOWED_ORIGINS", DEFAULT_ORIGINS),
        "SLUICE_KEK": key_encryption_key(state),
        "SERVICE_SIGNING_KEYS_DIR": str(signing_keys(state)),
        "BOOTSTRAP_API_KEY_SHA256": api_key_digest(state),
        **{f"{name.upper()}_URL": url for name, url in addresses.services.items()},
        **sandbox_environment(state, addresses.sandbox),
    }


def sandbox_environment(state: State, url: str | None) -> dict[str, str]:
    """The stand-in's addresses and the application registered there; they win over a provider's own of the caller."""
    if url is None:
        return {}
    return {
        "SANDBOX": "1",
        "ALLOWED_PRIVATE_ENDPOINTS": urlsplit(url).netloc,
        "GITHUB_API_URL": f"{url}/github/api",
        "GITHUB_BASE_URL": f"{url}/github",
        "GITHUB_CLIENT_ID": SANDBOX_CLIENT_ID,
        "GITHUB_CLIENT_SECRET": sandbox_client_secret(state),
    }


def with_settings_file(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` over what `<root>/.env` sets; a name without a value there sets nothing."""
    written = dotenv_values(root / ".env", interpolate=False)
    return {name: value for name, value in written.items() if value} | dict(environ)


def service_environment(state: State, service: str, addresses: Addresses, cluster: Postgres) -> dict[str, str]:
    """For `serve`: it never learns the owner's password, nor a secret that another service uses."""
    told = {
        **os.environ,
        **shared_environment(state, addresses),
        "DATABASE_URL": cluster.dsn(f"{service}_app"),
        "WORKER_DATABASE_URL": cluster.dsn(f"{service}_worker"),
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(urlsplit(addresses.services[service]).port),
        "OTEL_TRACES_FILE": str(state.traces / f"{service}.jsonl"),
        **_model_environment(state),
    }
    return {name: value for name, value in told.items() if not _is_of_others(name, service)}


def _model_environment(state: State) -> dict[str, str]:
    """Where the bundled model was fetched to; what the operator says wins."""
    place = os.environ.get("EMBEDDING_MODEL_DIR") or model_directory(state)
    return {"EMBEDDING_MODEL_DIR": str(place)} if place else {}


def _is_of_others(name: str, service: str) -> bool:
    if name.endswith("_CLIENT_SECRET"):
        return service != CLIENT
    if name.startswith("EMBEDDING_"):
        return service != EMBEDDING
    return name.endswith("_PASSWORD") or (name == "SLUICE_KEK" and service not in SEALING)


def migrate_environment(state: State, service: str, addresses: Addresses, cluster: Postgres) -> dict[str, str]:
    return {
        **service_environment(state, service, addresses, cluster),
        "OWNER_DATABASE_URL": cluster.dsn(f"{service}_owner"),
    }
