"""What a provider says of itself in manifest.toml, read without importing its code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from libs.common.errors import ConfigurationError
from libs.common.events.source import SourceType

Facet = Literal["auth", "sync", "webhooks", "chunks"]
FACETS: tuple[Facet, ...] = ("auth", "sync", "webhooks", "chunks")


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may switch on; `enabled` is the default. `streams` are pulled while it is on."""

    id: str
    name: str
    description: str
    enabled: bool
    streams: tuple[str, ...]
    source_types: tuple[SourceType, ...]


class WebhookScheme(msgspec.Struct, frozen=True, kw_only=True):
    """How deliveries arrive. `registration` says who makes the hook: us by API, a person, or one URL per app.

    `missed_hours`: for how long a delivery that failed is kept and sent again when asked, every `missed_pause_seconds`
    one; 0 = never (RedeliveringFacet).
    """

    signature_header: str
    delivery_header: str
    event_header: str
    registration: Literal["api", "manual", "app"]
    app_wide: bool = False
    max_body_bytes: int = 25_000_000
    redelivers: bool = False
    missed_hours: int = 0
    missed_pause_seconds: float = 1.0
    steps: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may ask until headers say more; `concurrency` calls at a time, in all replicas together.

    `window_seconds`: in how short a time its part of `requests_per_hour` may be spent, where no header tells.
    `not_modified_is_free`: a 304 is not counted.
    """

    requests_per_hour: int
    window_seconds: int = 3600
    not_modified_is_free: bool = False
    concurrency: int = 1
    page_size: int = 100


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """Which settings an operator's own registration needs; URLs are of the hosted product.

    `issuer` set = the provider sends `iss` with every answer (RFC 9207). `covers`: a granted scope stands for these.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    scope_separator: str = " "
    issuer: str = ""
    covers: dict[str, tuple[str, ...]] = {}
    rotating_refresh: bool = False
    reuse_window_s: int = 0


class ApiHost(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API of another installation is: `{base}` its web address, `{host}` its host with the port.

    Only for hosts that end with `host_suffix`; the first one that fits counts.
    """

    api_url: str
    host_suffix: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`api_url` and `base_url` are defaults that <PROVIDER>_API_URL and <PROVIDER>_BASE_URL override.

    `api_hosts` tell the API of an installation whose base alone is set. `windowed` streams can be bounded by a date.
    """

    id: str
    name: str
    description: str
    icon: str
    status: Literal["available", "planned"]
    connect: tuple[Literal["oauth", "token", "url"], ...]
    delivery: Literal["push", "poll"]
    resource_kind: str
    resource_name: str
    api_url: str = ""
    base_url: str = ""
    api_hosts: tuple[ApiHost, ...] = ()
    facets: tuple[Facet, ...] = ()
    features: tuple[Feature, ...] = ()
    windowed: tuple[str, ...] = ()
    limits: Limits | None = None
    webhook: WebhookScheme | None = None
    oauth: OAuthClient | None = None
    default_resources: int = 20
    polling_interval_minutes: int = 15
    sweep_interval_hours: int = 24
    rebuild_overlap_minutes: int = 5

    def default_features(self) -> tuple[str, ...]:
        return tuple(feature.id for feature in self.features if feature.enabled)

    def streams_of(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """The streams to pull for the chosen features, each once, in the manifest's order."""
        chosen = (stream for feature in self.features if feature.id in features for stream in feature.streams)
        return tuple(dict.fromkeys(chosen))


def read_manifest(path: Path) -> Manifest:
    """Raises ConfigurationError that names the file and the field at fault."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Manifest, strict=True)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
