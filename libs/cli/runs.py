"""One run: look at it, follow it to its end, cancel it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import AsJson, gateway
from libs.cli.screen import ago, details, emit, out, short, standing, table, waited
from libs.local.client import Json
from libs.local.demo.following import failure, follow, left

app = typer.Typer(help="One run: look at it, follow it, cancel it.", no_args_is_help=True)
Run = Annotated[str, typer.Argument(help="Its id, from `sluice runs` or `sluice sync`.")]


@app.command("show")
def show(run: Run, as_json: AsJson = False) -> None:
    """How a run stands, and each of its resources."""
    with gateway() as door:
        found = door.get(f"/v1/sync-runs/{run}")
    emit(found, as_json, lambda: _draw(found))


@app.command("follow")
def follow_run(run: Run, as_json: AsJson = False) -> None:
    """Draw the progress of a run until it ends; exits 1 unless it succeeded."""
    with gateway() as door:
        ended = follow(door, run, screen=None if as_json else out)
    emit(ended, as_json, lambda: _draw(ended))


@app.command("cancel")
def cancel(run: Run, as_json: AsJson = False) -> None:
    """Stop a run; what it has brought stays, and the next one goes on from there."""
    with gateway() as door:
        ended = door.post(f"/v1/sync-runs/{run}/cancel")
    emit(ended, as_json, lambda: out.print(f"The run is {escape(ended['state'])}; the next one goes on from there."))


def _draw(run: Json) -> None:
    counts = run["counts"]
    done = f"{run['resourcesDone']} of {run['resourceCount']}"
    brought = ", ".join(f"{counts[name]:,} {name}" for name in ("created", "updated", "deleted", "unchanged"))
    asked = f"{counts['requests']:,} requests, {counts['notModified']:,} unchanged by their answer"
    details(
        [
            ("id", run["id"]), ("state", standing(run)), ("cause", run["cause"]), ("asked", ago(run["requestedAt"])),
            ("finished", ago(run["finishedAt"])), ("left", left(run)), ("resources", done), ("brought", brought),
            ("provider", asked), ("waited", waited(counts)),
            ("quarantined", str(counts["quarantined"] or "")), ("error", failure(run) if run["error"] else ""),
        ]
    )  # fmt: skip
    columns = ("resource", "state", "stream", "read", "tries", "waited", "error")
    table(columns, map(_resource, run["resources"] or ()), "")


def _resource(one: Json) -> tuple[str, ...]:
    error = short(one["error"]["detail"], 50) if one["error"] else ""
    return (one["name"] or one["id"], standing(one), one["stream"], f"{one['counts']['fetched']:,}",
            str(one["attempts"]), waited(one["counts"]), error)  # fmt: skip
