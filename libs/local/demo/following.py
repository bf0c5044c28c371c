"""Following a run to its end: one bar that moves with what was fetched."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from libs.local.client import Gateway, Json, Told
from libs.local.polling import polled

FINAL = ("succeeded", "failed", "cancelled")
EVERY_S = 0.2


def follow(door: Gateway, run_id: str, *, screen: Console | None, words: str = "sync") -> Json:
    """The run as it ended, drawn by the events that it sends; a failed one is Told."""
    run: Json = {}
    with _bar(screen) as bar:
        task = bar.add_task(words, total=None, said="")
        for run in door.run_events(run_id):
            _move(bar, task, run, ended=run["state"] in FINAL)
    if run["state"] != "succeeded":
        raise Told(f"The sync {run['state']}: {failure(run)}", f"`sluice trace {run_id}` shows it.")
    return run


def wait_for(door: Gateway, run_id: str, seconds: float) -> Json:
    """The run as it ended, without a word; one that has not is Told."""
    run: Json = {}

    def ended() -> bool:
        nonlocal run
        run = door.get(f"/v1/sync-runs/{run_id}")
        return run["state"] in FINAL

    if polled(ended, seconds=seconds, every=EVERY_S) is None:
        raise Told(
            f"The run {run_id} is still {run['state']} after {seconds:.0f} s.", f"`sluice trace {run_id}` shows it."
        )
    return run


def _bar(screen: Console | None) -> Progress:
    columns = (
        SpinnerColumn(finished_text="[green]●[/green]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=34),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=screen, disable=screen is None, refresh_per_second=8, transient=True)


def _move(bar: Progress, task: TaskID, run: Json, *, ended: bool = False) -> None:
    """The share is the service's own estimate; until it has one the bar only moves."""
    counts, share = run["counts"], 1.0 if ended else run["progress"]
    said = f"{counts['fetched']:,} read, {counts['requests']:,} requests{_streams(run)}{_left(run)}"
    bar.update(task, completed=share or 0.0, total=None if share is None else 1.0, said=said)


def _streams(run: Json) -> str:
    names = {one["stream"] for one in run.get("resources") or () if one["state"] == "running" and one["stream"]}
    return f" ({', '.join(sorted(names))})" if names else ""


def _left(run: Json) -> str:
    said = left(run)
    return f", {said} left" if said else ""


def left(run: Json) -> str:
    """What the service expects to come, as far as it can tell."""
    items, seconds = run.get("remaining"), run.get("secondsLeft")
    if items is None:
        return ""
    return f"{items:,} items" if seconds is None else f"{items:,} items, about {seconds:,.0f} s"


def failure(run: Json) -> str:
    """Why a run did not succeed, in the service's words."""
    error = run.get("error")
    return f"{error['detail'] or error['code']}" if error else "no reason was given"
