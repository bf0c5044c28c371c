"""What a command writes: JSON or a table on stdout, what went wrong and what to do next on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.local.client import Told

WIDTH = None if sys.stdout.isatty() else 120
# What the next command is given: whole, however narrow the terminal is.
IDS = ("id", "run", "source")
out = Console(width=WIDTH, highlight=False)
# A pipe has no width: a row is never cut for one.
rows_out = out if sys.stdout.isatty() else Console(width=10_000, highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def emit(value: Any, as_json: bool, render: Callable[[], None]) -> None:
    """`value` is what a program reads; `render` draws the same for a person."""
    if as_json:
        write_json(value)
    else:
        render()


def write_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode() + "\n")


def details(rows: Iterable[tuple[str, str]]) -> None:
    """One thing, a line for each of its facts; those without a value are left out."""
    drawn = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    for name, value in rows:
        if value:
            drawn.add_row(f"[dim]{escape(name)}[/dim]", escape(value))
    out.print(drawn)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str, following: str | None = None) -> None:
    """Texts of a provider are shown as they are, never as markup. `following`: the cursor of the next page."""
    cells = [list(row) for row in rows]
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for at, name in enumerate(columns):
        widest = max((len(row[at]) for row in cells), default=0)
        drawn.add_column(name, min_width=widest if name in IDS else None)
    for row in cells:
        drawn.add_row(*map(escape, row))
    if cells or empty:
        rows_out.print(drawn if cells else f"[dim]{empty}[/dim]", crop=False)
    if following:
        out.print(f"[dim]more: --cursor {escape(following)}[/dim]")


def complain(error: Told) -> None:
    err.print(f"[bold red]error[/bold red] {escape(error.text)}")
    if error.hint:
        err.print(f"      {escape(error.hint)}", style="dim")


def ago(text: str | None, now: datetime | None = None) -> str:
    """A time of the API as the distance from now: `3 min ago`, `in 12 min`, `never`."""
    if not text:
        return "never"
    at = datetime.fromisoformat(text)
    seconds = ((now or datetime.now(at.tzinfo)) - at).total_seconds()
    size = next(f"{int(abs(seconds) // step)} {unit}" for step, unit in STEPS if abs(seconds) >= step or step == 1)
    return f"{size} ago" if seconds >= 0 else f"in {size}"


def standing(one: Any) -> str:
    """The state of a run or of a resource, and for how long it waits."""
    state = f"{one['state'] or ''}, paused" if one.get("paused") else one["state"] or ""
    return f"{state}, goes on {ago(one['parkedUntil'])}" if one.get("parkedUntil") else state


def waited(counts: Any) -> str:
    """How long it was parked or backed off, and how often."""
    return f"{counts['waitedSeconds']:,.0f} s in {counts['waits']}" if counts["waits"] else ""


STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def short(text: str | None, size: int = 60) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= size else f"{line[: size - 1]}…"
