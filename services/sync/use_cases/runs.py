"""Requesting, joining, finishing, cancelling runs. Runs are locked before work rows, so that nobody waits in a ring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from libs.common.database.transaction import Row, Transaction
from libs.common.events.source import Cause
from libs.common.events.sync import RunCounts, SyncCompleted, SyncFailed, SyncStarted
from libs.common.ids import new_id
from services.sync.domain.refusals import GrantLost, Paused
from services.sync.repository import discoveries, leases, resources, runs
from services.sync.repository.integrations import Integration
from services.sync.repository.leases import Kind, Wanted

FINAL = ("succeeded", "failed", "cancelled")


async def request_run(
    tx: Transaction,
    integration: Integration,
    *,
    cause: Cause,
    streams: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    kind: Kind | None = None,
) -> str:
    """The run's id; a request during a run joins it: `only` these resources, or all, are looked at once more.

    So the run ends with what was there when it was asked, wherever it had read already. A poll is satisfied by any
    look that is under way, but a sweep by none.
    """
    require_working(integration)
    run_id, is_new = await runs.open_run(tx, run_id=new_id(), integration_id=integration.id, cause=cause)
    wanted = list(only) if only is not None else await resources.selected_ids(tx, integration.id)
    if cause == "poll" and kind != "sweep" and not is_new:
        wanted = await leases.idle(tx, wanted)
    await _add(tx, integration, run_id, wanted, cause=cause, streams=streams, kind=kind)
    await settle_run(tx, run_id)
    return run_id


def require_working(integration: Integration) -> None:
    if not integration.works:
        raise GrantLost if integration.status == "error" else Paused


async def open_discovery(tx: Transaction, integration: Integration, *, named: Sequence[str]) -> str:
    """One run with cause manual whose resources are found by a worker."""
    run_id, _ = await runs.open_run(tx, run_id=new_id(), integration_id=integration.id, cause="manual")
    await runs.set_discovering(tx, run_id, discovering=True)
    await discoveries.want(tx, integration_id=integration.id, resources=named, run_id=run_id)
    return run_id


async def add_to_run(tx: Transaction, integration: Integration, run_id: str, resource_ids: Sequence[str]) -> None:
    await _add(tx, integration, run_id, resource_ids, cause="manual", streams=None)


async def _add(
    tx: Transaction,
    integration: Integration,
    run_id: str,
    resource_ids: Sequence[str],
    *,
    cause: Cause,
    streams: Sequence[str] | None,
    kind: Kind | None = None,
) -> None:
    await runs.add_resources(tx, run_id, resource_ids)
    wanted = Wanted(
        integration_id=integration.id, kind=kind or ("poll" if cause == "poll" else "backfill"), cause=cause,
        ticket=new_id(),
        run_id=run_id, streams=None if streams is None else tuple(streams),
    )  # fmt: skip
    await leases.enqueue(tx, resource_ids, wanted)


async def begin_resource(tx: Transaction, *, run_id: str, resource_id: str, integration_id: str) -> None:
    run = await runs.lock(tx, run_id)
    if run is None or run["state"] in FINAL:
        return
    await runs.set_resource(tx, run_id, resource_id, state="running")
    if await runs.start(tx, run_id):
        await tx.emit(
            SyncStarted(
                workspace_id=str(tx.workspace), integration_id=integration_id, run_id=run_id, cause=run["cause"],
                started_at=datetime.now(UTC),
            )
        )  # fmt: skip


async def settle_run(tx: Transaction, run_id: str | None) -> None:
    """When nothing of the run is left to do, it is told how it ended; when all that is left is parked, it is too."""
    run = await runs.lock(tx, run_id) if run_id else None
    if run is None or run["state"] in FINAL or run["discovering"]:
        return
    if await runs.unfinished(tx, run["id"]):
        await runs.restate(tx, run["id"])
        return
    report = await runs.report(tx, run["id"])
    if report is not None:
        await _finish(tx, report)


async def fail_run(tx: Transaction, run_id: str, *, code: str, detail: str) -> None:
    """The whole run ends: the grant is lost, or its resources cannot be found."""
    run = await runs.lock(tx, run_id)
    if run is None or run["state"] in FINAL:
        return
    await drop_work(tx, run)
    await runs.end_resources(tx, run_id, state="failed", error_code=code, error=detail)
    report = await runs.report(tx, run_id)
    if report is not None:
        await _end(tx, report, state="failed", code=code, detail=detail)


async def cancel_run(tx: Transaction, run_id: str) -> None:
    """What is committed stays; a page in flight finds its lease gone."""
    run = await runs.lock(tx, run_id)
    if run is None or run["state"] in FINAL:
        return
    await drop_work(tx, run)
    await runs.end_resources(tx, run_id, state="cancelled")
    report = await runs.report(tx, run_id)
    if report is not None:
        await _end(tx, report, state="cancelled", code="cancelled", detail="the run was cancelled")


async def drop_work(tx: Transaction, run: Row) -> None:
    await leases.drop_run(tx, run["id"], integration_id=run["integration_id"], ticket=new_id())
    await runs.drop_discovery(tx, run["id"])


async def park_integration(tx: Transaction, integration_id: str, until: datetime, *, epoch: int) -> None:
    """The budget is the grant's: everything of the active run that nobody works on waits as well."""
    run_id = await runs.active_of(tx, integration_id)
    await leases.park_integration(tx, integration_id, until, epoch=epoch)
    if run_id:
        await runs.park_resources(tx, run_id)
        await settle_run(tx, run_id)


async def _finish(tx: Transaction, report: Row) -> None:
    """One resource out of sight does not fail the others' run; a failure that should not be does."""
    failures = [row for row in await runs.resources_of(tx, report["id"]) if row["state"] == "failed"]
    serious = [row for row in failures if row["error_code"] not in {"lost_sight", "resource_gone"}] or (
        failures if not report["succeeded"] else []
    )
    told = serious[0] if serious else report
    state = "failed" if serious else "succeeded"
    await _end(tx, report, state=state, code=told["error_code"], detail=told["error"])


async def _end(tx: Transaction, report: Row, *, state: str, code: str | None, detail: str | None) -> None:
    if not await runs.finish(tx, report["id"], state=state, error_code=code, error=detail):
        return
    counts = {field: report[field] for field in RunCounts.__struct_fields__}
    counts["waited_seconds"] = round(counts["waited_seconds"], 3)
    at = datetime.now(UTC)
    about = {"workspace_id": str(tx.workspace), "integration_id": report["integration_id"], "run_id": report["id"]}
    if state == "succeeded":
        await tx.emit(SyncCompleted(**about, cause=report["cause"], counts=RunCounts(**counts), finished_at=at))
        return
    failed = SyncFailed(
        **about,
        cause=report["cause"],
        counts=RunCounts(**counts),
        code=code or "failed",
        detail=detail or "",
        finished_at=at,
    )
    await tx.emit(failed)


async def end_in_run(tx: Transaction, run_id: str, resource_id: str) -> None:
    """A resource that was deselected while it waited or ran."""
    await runs.lock(tx, run_id)
    await runs.set_resource(tx, run_id, resource_id, state="cancelled")
    await settle_run(tx, run_id)
