"""Finds providers by manifest and loads one facet at a time: one broken facet cannot stop another service."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Literal, cast, overload

from libs.common.errors import NotFound
from libs.common.provider.auth import AuthFacet
from libs.common.provider.chunks import ChunkFacet
from libs.common.provider.manifest import Facet, Manifest, read_manifest
from libs.common.provider.sync import SyncFacet
from libs.common.provider.webhooks import WebhookFacet

ROOM = Path(__file__).parent
_reading = Lock()


def manifests() -> dict[str, Manifest]:
    """Every provider by its canonical id; no vendor code is imported.

    One thread reads: a type that two threads give to msgspec for the first time at once ends the process.
    """
    with _reading:
        return _read()


@lru_cache(maxsize=1)
def _read() -> dict[str, Manifest]:
    found = (read_manifest(path) for path in sorted(ROOM.glob("[a-z]*/manifest.toml")))
    return {manifest.id: manifest for manifest in found}


def manifest(name: str) -> Manifest:
    """Any case and separator is accepted (GoogleDrive, google-drive). Raises NotFound, naming what there is."""
    wanted = re.sub(r"[^a-z0-9]", "", name.lower())
    for provider_id, found in manifests().items():
        if provider_id.replace("_", "") == wanted:
            return found
    raise NotFound(f"unknown provider; choose one of {', '.join(manifests())}", pointer="/provider")


def icon(name: str) -> bytes:
    """The SVG in the provider's folder. Raises NotFound for an unknown provider."""
    found = manifest(name)
    return (ROOM / found.id / found.icon).read_bytes()


@overload
def facet(provider_id: str, name: Literal["auth"]) -> AuthFacet: ...
@overload
def facet(provider_id: str, name: Literal["sync"]) -> SyncFacet: ...
@overload
def facet(provider_id: str, name: Literal["webhooks"]) -> WebhookFacet: ...
@overload
def facet(provider_id: str, name: Literal["chunks"]) -> ChunkFacet: ...
def facet(provider_id: str, name: Facet) -> AuthFacet | SyncFacet | WebhookFacet | ChunkFacet:
    """Imports that one module of the provider. Raises NotFound when the manifest does not list the facet."""
    if name not in manifest(provider_id).facets:
        raise NotFound(f"{provider_id} has no {name} facet")
    module = import_module(f"libs.providers.{manifest(provider_id).id}.{name}")
    return cast("AuthFacet | SyncFacet | WebhookFacet | ChunkFacet", module.FACET)
