"""Why is this here, or why not? Sync's half of the way: from the provider's object to the event that told of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import NotFound
from libs.common.http.explained import Step
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from services.sync.deps import Deps
from services.sync.domain.explain import Asked, explain, reason
from services.sync.repository import explain as rows


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Of one object in one resource. `resource` None: it is in none that was ever selected."""

    integration: Row
    resource: Row | None
    source: Row | None
    key: str
    stream: str | None
    reason: str
    steps: Sequence[Step]


async def explain_source(source_id: str, *, deps: Deps, workspace: str) -> Explained:
    async with deps.db.transaction(workspace) as tx:
        source = await rows.source(tx, source_id)
        if source is None:
            raise NotFound
        integration = await _integration(tx, source["integration_id"])
        found = await rows.resources(tx, integration["id"], source["resource_id"])
        return await _explained(tx, deps, integration, found[0] if found else None, source, key=source["external_key"])


async def explain_key(
    integration_id: str, key: str, *, deps: Deps, workspace: str, resource: str | None
) -> list[Explained]:
    """In each resource that has anything under this key, or else in each where it could be."""
    async with deps.db.transaction(workspace) as tx:
        integration = await _integration(tx, integration_id)
        candidates = await rows.resources(tx, integration_id, resource)
        met = await rows.mentions(tx, [row["id"] for row in candidates], key)
        looked: list[Row | None] = [row for row in candidates if row["id"] in met or not met]
        return [await _explained(tx, deps, integration, one, None, key=key, named=resource) for one in looked or [None]]


async def _integration(tx: Transaction, integration_id: str) -> Row:
    found = await rows.integration(tx, integration_id)
    if found is None:
        raise NotFound
    return found


async def _explained(
    tx: Transaction,
    deps: Deps,
    integration: Row,
    resource: Row | None,
    source: Row | None,
    *,
    key: str,
    named: str | None = None,
) -> Explained:
    manifest = deps.manifest_of(integration["provider"])
    asked = Asked(key=key, stream=_stream(deps.facet_of(integration["provider"]), manifest, key), named=named)
    known = await rows.everything(tx, integration, resource, source, key=key, stream=asked.stream)
    steps = explain(known, asked, manifest)
    return Explained(
        integration=integration, resource=resource, source=known.source, key=key, stream=asked.stream,
        reason=reason(known, steps), steps=steps,
    )  # fmt: skip


def _stream(facet: SyncFacet, manifest: Manifest, key: str) -> str | None:
    """None for a key of a kind that the provider does not have."""
    try:
        found = facet.key_stream(key)
    except KeyError:
        return None
    return found if any(found in feature.streams for feature in manifest.features) else None
