"""Items that did not fit: shown, and asked for again by key, or with their stream where nothing names them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidInput, InvalidState, NotFound
from libs.common.ids import new_id
from services.sync.deps import Deps
from services.sync.repository import dirty, leases, quarantine, resources
from services.sync.repository.leases import Wanted
from services.sync.use_cases.asking import known_integration


class Retried(msgspec.Struct, frozen=True):
    """`keys` are read again by themselves; `streams` are listed whole, because nothing names their item."""

    keys: list[str]
    streams: list[str]


async def list_items(
    integration_id: str, *, deps: Deps, workspace: str, after: tuple[str, str], limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return await quarantine.page(tx, integration_id, after=after, limit=limit)


async def retry(
    integration_id: str, resource_id: str, keys: Sequence[str] | None, *, deps: Deps, workspace: str
) -> Retried:
    """Returns at once; a success takes the item out of quarantine, a failure counts."""
    async with deps.db.transaction(workspace) as tx:
        integration = await known_integration(tx, integration_id)
        resource = await resources.find(tx, resource_id)
        if resource is None or resource.integration_id != integration_id:
            raise NotFound("no such resource in this integration")
        if not integration.works or not resource.selected:
            raise InvalidState("the integration is paused or has lost its grant, or the resource is not selected")
        rows = await quarantine.named(tx, resource_id, keys)
        unknown = sorted(set(keys or ()) - {row["key"] for row in rows})
        if unknown:
            raise InvalidInput(f"not in quarantine: {', '.join(unknown[:5])}", pointer="/keys")
        retried = await _ask_again(tx, integration_id, resource_id, rows)
    deps.wakes.dirty.set()
    deps.wakes.work.set()
    return retried


async def _ask_again(tx: Transaction, integration_id: str, resource_id: str, rows: Sequence[Row]) -> Retried:
    """Work is locked before keys, as where a page marks one."""
    streams = sorted({row["stream"] for row in rows if not row["by_key"]})
    if streams:
        wanted = Wanted(
            integration_id=integration_id, kind="sweep", cause="manual", ticket=new_id(), streams=tuple(streams)
        )
        await leases.enqueue(tx, [resource_id], wanted, first=True)
    named = [(row["stream"], row["key"]) for row in rows if row["by_key"]]
    await dirty.mark(tx, integration_id=integration_id, resource_id=resource_id, keys=named)
    return Retried(keys=[key for _, key in named], streams=streams)


async def retry_due(tx: Transaction, integration_id: str, resource_id: str) -> int:
    """After each look at the resource: those whose time has come, later and later."""
    keys = await quarantine.take_due(tx, resource_id)
    await dirty.mark(tx, integration_id=integration_id, resource_id=resource_id, keys=keys)
    return len(keys)
