"""Settings come from the environment into one typed struct per service; a weak or missing one refuses to start."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import urlsplit

import msgspec

from libs.common.errors import ConfigurationError

WEAK = {"", "changeme", "secret", "password", "default", "test", "admin", "postgres", "sluice"}
WEAK_DIGESTS = {sha256(word.encode()).hexdigest() for word in WEAK}
DIGEST = re.compile(r"[0-9a-f]{64}")


def means(text: str) -> msgspec.Meta:
    """What an operator should know of a setting; `.env.example` and docs/operating.md are made of it."""
    return msgspec.Meta(description=text)


def placed(text: str) -> msgspec.Meta:
    """A setting that whoever starts the service knows best: docker-compose.yml and `make up` set it."""
    return msgspec.Meta(description=text, extra_json_schema={"placed": True})


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads. A field `database_url` is the variable DATABASE_URL; lists are comma separated."""

    database_url: Annotated[str, placed("the role <service>_app: one workspace a transaction")]
    worker_database_url: Annotated[str, placed("the role <service>_worker: the queue tables")]
    owner_database_url: Annotated[
        str, placed("the role <service>_owner, for `migrate` alone; never given to a serving process")
    ] = ""
    kafka_bootstrap_servers: Annotated[str, placed("host:port, comma separated")]
    kafka_flavour: Annotated[
        Literal["embedded", "kafka"], placed("kafka (idempotent producers) or embedded, the broker of `make up`")
    ] = "kafka"
    kafka_session_timeout_ms: Annotated[
        int,
        means("until a silent consumer's partitions move; 0 = the flavour's own, 30000 to 45000 with an instance id"),
    ] = 0
    kafka_group_instance_id: Annotated[
        str, placed("a name of this replica's own, if it keeps one: its restart then moves no partition")
    ] = ""
    redis_url: Annotated[str, placed("Valkey or Redis; holds only what may be lost")]
    public_url: Annotated[
        str,
        means("the gateway as browsers and providers reach it: callbacks, hook URLs, icons; https outside loopback"),
    ] = "http://localhost:8080"
    cors_allowed_origins: Annotated[
        tuple[str, ...], means("exact origins of the front ends, comma separated; * is refused")
    ] = ("http://localhost:5173",)
    allowed_private_endpoints: Annotated[
        tuple[str, ...], means("exact host:port of private addresses that may be called, comma separated; empty = none")
    ] = ()
    service_signing_keys_dir: Annotated[str, placed("<service>.private.pem of its own, <service>.public.pem of all")]
    bootstrap_api_key_sha256: Annotated[
        str, means('SHA-256 (hex) of the first API key: printf %s "$KEY" | sha256sum')
    ] = ""
    http_host: Annotated[str, placed("where it listens")] = "127.0.0.1"
    http_port: Annotated[int, placed("0 = any free one")] = 0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], means("least level that is written")] = "info"
    otel_traces_file: Annotated[str, placed("spans as JSON lines; empty = none")] = ""

    def __repr__(self) -> str:
        """Settings hold passwords and keys: none of them is shown by printing."""
        return f"{type(self).__name__}()"

    def __post_init__(self) -> None:
        require_secure("PUBLIC_URL", self.public_url)
        for origin in self.cors_allowed_origins:
            _require_origin(origin)
        for name in ("database_url", "worker_database_url", "owner_database_url", "redis_url"):
            _require_strong_password(name.upper(), getattr(self, name))
        _require_digest(self.bootstrap_api_key_sha256)


class SealingSettings(CommonSettings, frozen=True, kw_only=True):
    """Of a service with a vault."""

    sluice_kek: Annotated[str, means("32 random bytes in base64, seals what is secret: openssl rand -base64 32")]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_key(self.sluice_kek)

    def kek(self) -> bytes:
        return b64decode(self.sluice_kek)


def require_secure(name: str, url: str) -> None:
    """Outside loopback every address that a browser or a provider is given is https. Raises ConfigurationError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{name} must be an http or https URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(f"{name} must be https: only loopback may be http")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _require_origin(origin: str) -> None:
    """An origin is scheme, host and port, nothing more (RFC 6454)."""
    parts = urlsplit(origin)
    if origin == "*" or parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin:
        raise ConfigurationError("CORS_ALLOWED_ORIGINS must list exact origins (https://app.example), never *")


def _require_strong_password(name: str, url: str) -> None:
    password = urlsplit(url).password
    if password is not None and password.lower() in WEAK:
        raise ConfigurationError(f"{name} has a default password: give this role a random one")


def _require_digest(digest: str) -> None:
    if digest and not DIGEST.fullmatch(digest):
        raise ConfigurationError(
            "BOOTSTRAP_API_KEY_SHA256 must be 64 hex digits: the SHA-256 of the key, never the key"
        )
    if digest in WEAK_DIGESTS:
        raise ConfigurationError("BOOTSTRAP_API_KEY_SHA256 is of a default word: make a random key")


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
    """An empty variable is not set. Raises ConfigurationError that names the variable at fault, never its value."""
    env = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name.upper()
        if env.get(name):
            values[field.name] = _split(env[name]) if _is_list(field) else env[name]
        elif field.required:
            raise ConfigurationError(f"{name} is not set")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        field_at_fault = str(error).rsplit("`$.", 1)[-1].rstrip("`")
        raise ConfigurationError(f"{field_at_fault.upper()} has no valid value") from None


def settings_schema(kind: type[CommonSettings]) -> dict[str, Any]:
    """JSON Schema of the settings; what `python -m services.<name> settings` prints."""
    (_,), found = msgspec.json.schema_components([kind])
    schema: dict[str, Any] = found[kind.__name__]
    return schema


def _is_list(field: msgspec.structs.FieldInfo) -> bool:
    bare = field.type.__origin__ if get_origin(field.type) is Annotated else field.type
    return get_origin(bare) is tuple


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
