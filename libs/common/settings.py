"""Settings come from the environment into one typed struct per service; a weak or missing one refuses to start."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from libs.common.errors import ConfigurationError

WEAK = {"", "changeme", "secret", "password", "default", "test"}


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads. A field `database_url` is the variable DATABASE_URL; lists are comma separated.

    `kafka_session_timeout_ms` 0 takes the flavour's own; with a `kafka_group_instance_id` a restart moves no partition.
    """

    database_url: str
    worker_database_url: str
    owner_database_url: str = ""
    kafka_bootstrap_servers: str
    kafka_flavour: Literal["embedded", "kafka"] = "kafka"
    kafka_session_timeout_ms: int = 0
    kafka_group_instance_id: str = ""
    redis_url: str
    public_url: str = "http://localhost:8080"
    cors_allowed_origins: tuple[str, ...] = ("http://localhost:5173",)
    allowed_private_endpoints: tuple[str, ...] = ()
    sluice_kek: str
    service_signing_keys_dir: str
    bootstrap_api_key_sha256: str = ""
    auth_url: str = ""
    sync_url: str = ""
    webhooks_url: str = ""
    chunker_url: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel_traces_file: str = ""

    def __repr__(self) -> str:
        """Settings hold passwords and keys: none of them is shown by printing."""
        return f"{type(self).__name__}()"

    def __post_init__(self) -> None:
        if "*" in self.cors_allowed_origins:
            raise ConfigurationError("CORS_ALLOWED_ORIGINS must list exact origins, never *")
        _require_key(self.sluice_kek)


def _require_key(kek: str) -> None:
    if kek.lower() in WEAK:
        raise ConfigurationError("SLUICE_KEK is missing: set it to 32 random bytes in base64")
    try:
        key = b64decode(kek, validate=True)
    except ValueError as error:
        raise ConfigurationError("SLUICE_KEK is not base64: set it to 32 random bytes in base64") from error
    if len(key) != 32 or len(set(key)) < 8:
        raise ConfigurationError("SLUICE_KEK is weak: set it to 32 random bytes in base64")


S = TypeVar("S", bound=CommonSettings)


def load_settings(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Raises ConfigurationError that names the variable at fault, never its value."""
    env = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name.upper()
        if name in env:
            values[field.name] = _split(env[name]) if _is_list(field) else env[name]
        elif field.required:
            raise ConfigurationError(f"{name} is not set")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        field_at_fault = str(error).rsplit("`$.", 1)[-1].rstrip("`")
        raise ConfigurationError(f"{field_at_fault.upper()} has no valid value") from None


def _is_list(field: msgspec.structs.FieldInfo) -> bool:
    return "tuple" in str(field.type)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
