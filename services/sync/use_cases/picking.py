"""The picker: what could be synced, and what is. The provider is asked before any transaction is open."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidInput, SightFailure
from libs.common.events.source import ResourceDeselected, ResourceSelected
from libs.common.ids import new_id
from libs.common.provider.sync import Cursor, Resource, ResourcePage
from services.sync.deps import Deps
from services.sync.repository import cleanups, integrations, leases, resources
from services.sync.repository.integrations import Integration
from services.sync.repository.resources import Stored
from services.sync.use_cases.asking import known_integration
from services.sync.use_cases.runs import end_in_run, request_run
from services.sync.use_cases.scheduling import Occasion, plan
from services.sync.workers.grants import Grant

MOST_SELECTED = 500


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


async def choose(integration_id: str, references: Sequence[str], *, deps: Deps, workspace: str) -> Picked:
    """Exactly these from now on, by external id or by whatever the provider's `find` reads (`owner/name`, a URL)."""
    if len(references) > MOST_SELECTED:
        raise InvalidInput(f"at most {MOST_SELECTED} resources", pointer="/selected")
    integration = await _read(deps, workspace, integration_id)
    async with deps.db.transaction(workspace) as tx:
        known = {row["external_id"] for row in await resources.of_integration(tx, integration_id)}
    wanted = [await _find(deps, integration, at, name) for at, name in enumerate(references) if name not in known]
    keep = {name for name in references if name in known} | {resource.external_id for resource in wanted}
    async with deps.db.transaction(workspace) as tx:
        integration = await known_integration(tx, integration_id)
        chosen = await _write(tx, integration, wanted, keep)
        await plan(tx, integration, deps.manifest_of(integration.provider), Occasion(base="kept", only=chosen))
        await integrations.touch(tx, integration.id)
        selected = await resources.of_integration(tx, integration_id)
    deps.wakes.work.set()
    deps.wakes.cleanup.set()
    return Picked(selected)


async def _read(deps: Deps, workspace: str, integration_id: str) -> Integration:
    async with deps.db.transaction(workspace) as tx:
        return await known_integration(tx, integration_id)


async def _find(deps: Deps, integration: Integration, at: int, reference: str) -> Resource:
    facet = deps.facet_of(integration.provider)
    try:
        return await Grant(deps, integration).ask(lambda context: facet.find(context, reference))
    except (SightFailure, InvalidInput) as error:
        raise InvalidInput(f"not visible with this grant: {error.detail}", pointer=f"/selected/{at}") from error


async def _write(tx: Transaction, integration: Integration, wanted: Sequence[Resource], keep: set[str]) -> list[str]:
    """Those that are chosen now."""
    rows = await resources.of_integration(tx, integration.id)
    chosen = [(await select_resource(tx, integration, resource)).id for resource in wanted]
    if chosen and integration.works:
        await request_run(tx, integration, cause="manual", only=chosen)
    for row in rows:
        if row["external_id"] not in keep:
            await _deselect(tx, integration, row["id"])
    return chosen


async def select_resource(tx: Transaction, integration: Integration, resource: Resource) -> Stored:
    """Selected now, and told; or as it was when it was selected before."""
    stored = await resources.select(
        tx, new_id=new_id(), integration_id=integration.id, provider=integration.provider, resource=resource
    )
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
