"""What a caller asks of runs: start one, start all, read, cancel. Everything returns at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import InvalidState, NotFound
from libs.common.security.principals import Principal
from services.sync.deps import Deps
from services.sync.domain.refusals import NothingChosen
from services.sync.repository import integrations, runs
from services.sync.repository.integrations import Integration
from services.sync.use_cases.runs import FINAL, cancel_run, request_run, require_working

NEWS_SECONDS = 1.0
LOOKS_FOR_NEWS = 10
UNKNOWN_WORKSPACE = "unknown workspace, or nothing connected in it yet"


class RunReport(msgspec.Struct, frozen=True):
    run: Row
    resources: Sequence[Row]

    @property
    def final(self) -> bool:
        return self.run["state"] in FINAL


class RunsAsked(msgspec.Struct, kw_only=True):
    """`left_out`: why, by integration."""

    started: list[RunReport] = []
    left_out: dict[str, InvalidState] = {}


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


async def sync_integration(integration_id: str, *, deps: Deps, workspace: str, full: bool = False) -> RunReport:
    """`full` asks for a sweep: everything is listed whole, and what is gone goes.

    Raises Paused, GrantLost or NothingChosen, after a moment in which the word of a resume may still come."""
    await _hear_of_resume(integration_id, deps=deps, workspace=workspace)
    async with deps.db.transaction(workspace) as tx:
        integration = await known_integration(tx, integration_id)
        require_syncable(integration, deps)
        if full:
            run_id = await request_run(tx, integration, cause="sweep", kind="sweep")
        else:
            run_id = await request_run(tx, integration, cause="manual")
        report = await _report(tx, run_id)
    deps.wakes.work.set()
    return report


async def _hear_of_resume(integration_id: str, *, deps: Deps, workspace: str) -> None:
    """Auth has answered a resume before its event is here: a refusal by the older word would not be true."""
    for _ in range(LOOKS_FOR_NEWS):
        async with deps.db.transaction(workspace) as tx:
            if (await known_integration(tx, integration_id)).works:
                return
        await asyncio.sleep(NEWS_SECONDS / LOOKS_FOR_NEWS)


def require_syncable(integration: Integration, deps: Deps) -> None:
    require_working(integration)
    if not deps.manifest_of(integration.provider).streams_of(integration.features):
        raise NothingChosen


async def sync_workspace(*, deps: Deps, workspace: str) -> RunsAsked:
    """A run for each integration that can be synced; the others are named. None that can is InvalidState."""
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        asked = RunsAsked()
        for integration in await integrations.of_workspace(tx):
            try:
                require_syncable(integration, deps)
            except InvalidState as refusal:
                asked.left_out[integration.id] = refusal
            else:
                asked.started.append(await _report(tx, await request_run(tx, integration, cause="manual")))
    if asked.left_out and not asked.started:
        raise InvalidState("; ".join(dict.fromkeys(one.detail for one in asked.left_out.values())))
    deps.wakes.work.set()
    return asked


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
