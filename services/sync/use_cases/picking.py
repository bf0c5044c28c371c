"""The picker: what could be synced, and what is. The provider is asked before any transaction is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidInput, SightFailure
from libs.common.events.source import ResourceDeselected, ResourceSelected
from libs.common.ids import new_id
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import Cursor, Resource, ResourcePage
from libs.common.provider.window import read_since, since_of
from services.sync.deps import Deps
from services.sync.repository import cleanups, integrations, leases, resources, runs
from services.sync.repository.integrations import Integration
from services.sync.repository.resources import Stored
from services.sync.use_cases.asking import known_integration
from services.sync.use_cases.runs import end_in_run, request_run
from services.sync.use_cases.scheduling import Occasion, plan
from services.sync.use_cases.windows import move_window
from services.sync.workers.grants import Grant

MOST_SELECTED = 500


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """`since` UNSET: as it is, or as the integration says; None: everything. `own`: said for this resource alone."""

    reference: str
    since: str | UnsetType | None = UNSET
    own: bool = False


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that is visible with the grant; `resource` None = selected already, by this external id."""

    external_id: str
    resource: Resource | None
    since: datetime | UnsetType | None


class Picked(msgspec.Struct, frozen=True):
    """`found` is None when the provider was not asked."""

    selected: Sequence[Row]
    found: ResourcePage | None = None


async def offer(integration_id: str, *, deps: Deps, workspace: str, query: str, cursor: Cursor | None) -> Picked:
    """A page of what the grant could sync, and everything that is selected."""
    integration = await _read(deps, workspace, integration_id)
    facet = deps.facet_of(integration.provider)
    found = await Grant(deps, integration).ask(lambda context: facet.discover(context, cursor, query))
    async with deps.db.transaction(workspace) as tx:
        return Picked(await resources.of_integration(tx, integration_id), found)


async def read_selected(integration_id: str, *, deps: Deps, workspace: str) -> Picked:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return Picked(await resources.of_integration(tx, integration_id))


async def choose(integration_id: str, asked: Sequence[str | Choice], *, deps: Deps, workspace: str) -> Picked:
    """Exactly these from now on, by external id or by whatever the provider's `find` reads (`owner/name`, a URL)."""
    if len(asked) > MOST_SELECTED:
        raise InvalidInput(f"at most {MOST_SELECTED} resources", pointer="/selected")
    choices = [Choice(reference=one) if isinstance(one, str) else one for one in asked]
    integration = await _read(deps, workspace, integration_id)
    manifest = deps.manifest_of(integration.provider)
    windows = [_window(choice, manifest, at, deps.clock.now()) for at, choice in enumerate(choices)]
    async with deps.db.transaction(workspace) as tx:
        rows = await resources.of_integration(tx, integration_id)
    known = {row["external_id"] for row in rows}
    found = [
        None if choice.reference in known else await _find(deps, integration, at, choice.reference)
        for at, choice in enumerate(choices)
    ]
    wanted = [
        Chosen(external_id=resource.external_id if resource else choice.reference, resource=resource, since=since)
        for choice, resource, since in zip(choices, found, windows, strict=True)
    ]
    async with deps.db.transaction(workspace) as tx:
        integration = await known_integration(tx, integration_id)
        to_read = await _write(tx, integration, manifest, wanted)
        await plan(tx, integration, manifest, Occasion(base="kept", only=to_read))
        await integrations.touch(tx, integration.id)
        selected = await resources.of_integration(tx, integration_id)
    deps.wakes.work.set()
    deps.wakes.cleanup.set()
    return Picked(selected)


def _window(choice: Choice, manifest: Manifest, at: int, now: datetime) -> datetime | UnsetType | None:
    if choice.since is UNSET:
        return UNSET
    pointer = f"/selected/{at}/since" if choice.own else "/since"
    return read_since(choice.since, manifest, now=now, pointer=pointer)


async def _read(deps: Deps, workspace: str, integration_id: str) -> Integration:
    async with deps.db.transaction(workspace) as tx:
        return await known_integration(tx, integration_id)


async def _find(deps: Deps, integration: Integration, at: int, reference: str) -> Resource:
    facet = deps.facet_of(integration.provider)
    try:
        return await Grant(deps, integration).ask(lambda context: facet.find(context, reference))
    except (SightFailure, InvalidInput) as error:
        raise InvalidInput(f"not visible with this grant: {error.detail}", pointer=f"/selected/{at}") from error


async def _write(tx: Transaction, integration: Integration, manifest: Manifest, wanted: Sequence[Chosen]) -> list[str]:
    """Those that have to be read."""
    await runs.active_of(tx, integration.id)  # locked before the resources that a worker of it may hold,
    await leases.lock_all(tx, integration.id)  # and the work between them
    rows = {row["external_id"]: row for row in await resources.of_integration(tx, integration.id)}
    chosen = [one for choice in wanted for one in await _choose(tx, integration, manifest, choice, rows)]
    to_read = list(dict.fromkeys(chosen))
    if to_read and integration.works:
        await request_run(tx, integration, cause="manual", only=to_read)
    keep = {choice.external_id for choice in wanted}
    for external_id, row in rows.items():
        if external_id not in keep:
            await _deselect(tx, integration, row["id"])
    return to_read


async def _choose(
    tx: Transaction, integration: Integration, manifest: Manifest, choice: Chosen, rows: Mapping[str, Row]
) -> list[str]:
    """Its id when it has to be read: it is new here, or its window became wider."""
    if choice.resource is None:
        stored = await resources.get_by_external(tx, integration.id, choice.external_id)
    else:
        stored = await select_resource(tx, integration, choice.resource)
    wider = choice.since is not UNSET and await move_window(tx, stored, manifest, choice.since, own=True)
    return [stored.id] if wider or choice.external_id not in rows else []


async def select_resource(tx: Transaction, integration: Integration, resource: Resource) -> Stored:
    """Selected now, and told; or as it was when it was selected before."""
    stored = await resources.select(
        tx, new_id=new_id(), integration_id=integration.id, provider=integration.provider, resource=resource,
        since=since_of(integration.config),
    )  # fmt: skip
    if stored is None:
        return await resources.get_by_external(tx, integration.id, resource.external_id)
    await tx.emit(
        ResourceSelected(
            workspace_id=integration.workspace_id, integration_id=integration.id, resource_id=stored.id,
            provider=integration.provider, kind=stored.kind, external_id=stored.external_id, name=stored.name,
            url=stored.url, version=stored.version,
        )
    )  # fmt: skip
    return stored


async def _deselect(tx: Transaction, integration: Integration, resource_id: str) -> None:
    """Its work stops at once; a worker tombstones its sources."""
    run_id = await leases.run_of(tx, resource_id)
    if run_id:
        await end_in_run(tx, run_id, resource_id)
    await leases.forget_resource(tx, resource_id)
    gone = await resources.deselect(tx, resource_id)
    if gone is None:
        return
    await integrations.touch(tx, integration.id)
    await integrations.note_success(tx, integration.id)  # its failures are no longer the integration's
    await cleanups.want(
        tx, cleanup_id=new_id(), kind="resource", integration_id=integration.id, resource_id=resource_id
    )
    await tx.emit(
        ResourceDeselected(
            workspace_id=integration.workspace_id, integration_id=integration.id, resource_id=gone.id,
            provider=integration.provider, kind=gone.kind, external_id=gone.external_id, version=gone.version,
        )
    )  # fmt: skip
