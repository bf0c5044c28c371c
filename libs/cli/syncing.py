"""Asking for syncs, and the history of those that were."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.asking import DEFAULT, AsJson, Limit, Workspace, find_integration, gateway
from libs.cli.screen import ago, emit, err, out, short, standing, table, waited
from libs.local.client import Gateway, Json
from libs.local.demo.following import failure, follow

Wait = Annotated[bool, typer.Option("--wait", help="Show the progress and return when it is done.")]
Which = Annotated[str, typer.Argument(help="An integration, by id or type; `all` of the workspace.")]
Full = Annotated[bool, typer.Option("--full", help="Sweep: list everything whole, and let go of what is gone.")]
ALL = "all"
COUNTS = ("fetched", "created", "updated", "deleted", "requests", "notModified")


def sync(
    which: Which = ALL, workspace: Workspace = DEFAULT, wait: Wait = False, full: Full = False, as_json: AsJson = False
) -> None:
    """Sync now; without --wait this returns at once."""
    with gateway() as door:
        asked = request_runs(door, workspace, which, full=full)
        done = [follow(door, run["id"], screen=None if as_json else out) for run in asked] if wait else asked
    emit({"items": done}, as_json, lambda: _draw(done))


def request_runs(door: Gateway, workspace: str, which: str, *, full: bool = False) -> list[Json]:
    if which == ALL and not full:
        asked = door.post(f"/v1/workspaces/{workspace}/sync")
        for one in asked["leftOut"]:
            err.print(f"left out: {one['integrationId']}: {one['detail']}")
        return list(asked["runs"])
    if which == ALL:
        found = [one["id"] for one in door.pages(f"/v1/workspaces/{workspace}/integrations", {"status": "active"})]
    else:
        found = [find_integration(door, workspace, which)["id"]]
    return [door.post(f"/v1/integrations/{one}/sync", {"full": True} if full else None) for one in found]


def runs(which: Which = ALL, workspace: Workspace = DEFAULT, limit: Limit = 10, as_json: AsJson = False) -> None:
    """What was synced when, newest first."""
    with gateway() as door:
        found = _history(door, workspace, which, limit)
    emit({"items": found}, as_json, lambda: _draw(found))


def _history(door: Gateway, workspace: str, which: str, limit: int) -> list[Json]:
    if which == ALL:
        ids = [one["id"] for one in door.pages(f"/v1/workspaces/{workspace}/integrations")]
    else:
        ids = [find_integration(door, workspace, which)["id"]]
    found = [run for one in ids for run in door.get(f"/v1/integrations/{one}/sync-runs", {"limit": limit})["items"]]
    return sorted(found, key=lambda run: run["id"], reverse=True)[:limit]


def _draw(found: list[Json]) -> None:
    rows = [
        (
            run["id"], run["cause"], standing(run), ago(run.get("startedAt") or run.get("requestedAt")),
            *(f"{run['counts'][name]:,}" for name in COUNTS), waited(run["counts"]),
            short(failure(run), 40) if run["error"] else "",
        )
        for run in found
    ]  # fmt: skip
    columns = ("run", "cause", "state", "started", "read", "created", "updated", "deleted", "requests", "304",
               "waited", "error")  # fmt: skip
    table(columns, rows, "No run yet. `sluice sync --wait` makes one.")
