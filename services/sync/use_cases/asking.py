"""What a caller asks of runs: start one, start all, read, cancel. Everything returns at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidState, NotFound
from libs.common.security.principals import Principal
from services.sync.deps import Deps
from services.sync.repository import integrations, runs
from services.sync.repository.integrations import Integration
from services.sync.use_cases.runs import FINAL, cancel_run, request_run

UNKNOWN_WORKSPACE = "unknown workspace, or nothing connected in it yet"


class RunReport(msgspec.Struct, frozen=True):
    run: Row
    resources: Sequence[Row]

    @property
    def final(self) -> bool:
        return self.run["state"] in FINAL


async def workspace_of(deps: Deps, principal: Principal, table: str, row_id: str) -> str:
    """Foreign and absent look the same: NotFound."""
    workspace = await deps.db.locate(table, row_id)
    if workspace is None:
        raise NotFound
    principal.require_workspace(workspace)
    return workspace


async def require_workspace(tx: Transaction) -> None:
    if not await integrations.knows_workspace(tx):
        raise NotFound(UNKNOWN_WORKSPACE)


async def known_integration(tx: Transaction, integration_id: str) -> Integration:
    found = await integrations.find(tx, integration_id)
    if found is None or found.disconnected:
        raise NotFound
    return found


async def sync_integration(integration_id: str, *, deps: Deps, workspace: str) -> RunReport:
    async with deps.db.transaction(workspace) as tx:
        integration = await known_integration(tx, integration_id)
        run_id = await request_run(tx, integration, cause="manual")
        report = await _report(tx, run_id)
    deps.wakes.work.set()
    return report


async def sync_workspace(*, deps: Deps, workspace: str) -> list[RunReport]:
    """A run for each integration that works; paused ones are left out. All paused is InvalidState."""
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        found = await integrations.of_workspace(tx)
        working = [one for one in found if one.works]
        if found and not working:
            raise InvalidState("every integration of this workspace is paused or has lost its grant")
        started = [await request_run(tx, one, cause="manual") for one in working]
        reports = [await _report(tx, run_id) for run_id in started]
    deps.wakes.work.set()
    return reports


async def read_run(run_id: str, *, deps: Deps, workspace: str) -> RunReport:
    async with deps.db.transaction(workspace) as tx:
        return await _report(tx, run_id)


async def stop_run(run_id: str, *, deps: Deps, workspace: str) -> RunReport:
    """Cancelling what has ended is InvalidState; cancelling twice is not."""
    async with deps.db.transaction(workspace) as tx:
        run = await runs.lock(tx, run_id)
        if run is not None and run["state"] in ("succeeded", "failed"):
            raise InvalidState(f"the run has {run['state']} already")
        await cancel_run(tx, run_id)
        return await _report(tx, run_id)


async def list_runs(
    integration_id: str, *, deps: Deps, workspace: str, before: str | None, limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await known_integration(tx, integration_id)
        return await runs.history(tx, integration_id, before=before, limit=limit)


async def _report(tx: Transaction, run_id: str) -> RunReport:
    run = await runs.report(tx, run_id)
    if run is None:
        raise NotFound
    return RunReport(run, await runs.resources_of(tx, run_id))
