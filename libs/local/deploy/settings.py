"""Every variable of an installation, as the services and the manifests say it: nothing is written down twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from libs.common.provider.manifest import Manifest, read_manifest
from libs.local.routes import CHECKOUT, told_by_all
from libs.local.state import SERVICES

Group = Literal["secret", "address", "provider", "tuning", "placed"]
RANDOM = "openssl rand -hex 24"
ADDRESSES = {"PUBLIC_URL", "CORS_ALLOWED_ORIGINS", "ALLOWED_PRIVATE_ENDPOINTS"}
SECRETS = {"SLUICE_KEK", "BOOTSTRAP_API_KEY_SHA256"}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """`default` None: it must be set. `readers`: the services that read it, or what else does."""

    name: str
    meaning: str
    group: Group
    readers: tuple[str, ...]
    default: str | None = ""


def settings() -> list[Setting]:
    """All of them, those of the same group in the order of their owners."""
    told = {name: msgspec.json.decode(text) for name, text in told_by_all("settings").items()}
    return [*deployment_settings(), *service_settings(told), *provider_settings(manifests())]


def service_settings(schemas: Mapping[str, Mapping[str, Any]]) -> list[Setting]:
    """A variable that several services read is one setting with several readers."""
    found: dict[str, Setting] = {}
    for service, schema in schemas.items():
        for field, said in schema["properties"].items():
            known = found.get(field.upper())
            readers = (*(known.readers if known else ()), service)
            found[field.upper()] = _setting(field.upper(), said, readers, required=field in schema["required"])
    return list(found.values())


def _setting(name: str, said: Mapping[str, Any], readers: tuple[str, ...], *, required: bool) -> Setting:
    default = None if required or name in SECRETS else _text(said.get("default", ""))
    return Setting(name=name, meaning=said["description"], group=_group(name, said), readers=readers, default=default)


def _group(name: str, said: Mapping[str, Any]) -> Group:
    if name in SECRETS:
        return "secret"
    if name in ADDRESSES:
        return "address"
    return "placed" if said.get("placed") else "tuning"


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def deployment_settings() -> list[Setting]:
    """What docker-compose.yml itself reads: the passwords that its parts share, and what its gateway is."""
    passwords = [_password("POSTGRES_PASSWORD", "PostgreSQL's administrator, who makes roles and schemas")]
    for service in SERVICES:
        shown = service.upper()
        passwords += [
            _password(f"{shown}_DATABASE_PASSWORD", f"the roles {service}_app and {service}_worker"),
            _password(f"{shown}_OWNER_PASSWORD", f"the role {service}_owner, for its migration alone"),
        ]
    return [*passwords, _password("VALKEY_PASSWORD", "Valkey"), *GATEWAY]


def _password(name: str, whose: str) -> Setting:
    return Setting(name=name, meaning=f"{whose}: {RANDOM}", group="secret", readers=("compose",), default=None)


GATEWAY = [
    Setting(
        name="GATEWAY_SITE", meaning="PUBLIC_URL's address if the gateway itself is to have a certificate for it",
        group="address", readers=("compose",), default="http://:8080",
    ),
    Setting(
        name="GATEWAY_HTTP_PORT", meaning="this machine's port for http: 80 beside an https GATEWAY_SITE",
        group="address", readers=("compose",), default="8080",
    ),
    Setting(
        name="GATEWAY_HTTPS_PORT", meaning="this machine's port for https: 443 beside an https GATEWAY_SITE",
        group="address", readers=("compose",), default="8443",
    ),
]  # fmt: skip


def manifests(root: Path = CHECKOUT) -> list[Manifest]:
    return [read_manifest(path) for path in sorted(root.glob("libs/providers/[a-z]*/manifest.toml"))]


def provider_settings(found: Iterable[Manifest]) -> list[Setting]:
    return [setting for manifest in found for setting in _of_provider(manifest)]


def _of_provider(manifest: Manifest) -> list[Setting]:
    everyone, prefix = ("auth", "webhooks", "sync"), manifest.id.upper()
    page = f"http://localhost:5173/auth-callback?provider={manifest.name.replace(' ', '')}"
    oauth = [
        ("CLIENT_ID", "", f"id of your OAuth app at {manifest.name}", ("auth",)),
        ("CLIENT_SECRET", "", "its secret", ("auth",)),
        ("INTEGRATION_REDIRECT_URI", page, "your own callback page, byte for byte; not set = Sluice's own", ("auth",)),
    ]
    places = [
        ("BASE_URL", manifest.base_url, "another installation: its web address", everyone),
        ("API_URL", manifest.api_url, "and its API", everyone),
    ]
    rows = [*(oauth if manifest.oauth else []), *(row for row in places if row[1])]
    return [
        Setting(name=f"{prefix}_{name}", meaning=meaning, group="provider", readers=readers, default=default)
        for name, default, meaning, readers in rows
    ]
