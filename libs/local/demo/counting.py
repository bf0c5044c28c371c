"""What is there after a sync: sources by type, and whether all of them are searchable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from libs.local.client import Gateway, Json, Told
from libs.local.demo.waiting import until

PENDING = ("pending", "processing")
PLURALS = {"repository": "repositories", "pull_request": "pull requests", "issue": "issues", "file": "files"}


def wait_until_indexed(door: Gateway, workspace: str, seconds: float = 300.0) -> None:
    def indexed() -> bool:
        return not any(_first(door, workspace, status) for status in PENDING)

    until(
        indexed,
        seconds=seconds,
        failing="Not everything was indexed",
        hint="`sluice dead-letters list`, `sluice status`",
    )


def _first(door: Gateway, workspace: str, status: str) -> list[Json]:
    return list(door.get(f"/v1/workspaces/{workspace}/sources", {"status": status, "limit": 1})["items"])


def read_sources(door: Gateway, workspace: str) -> list[Json]:
    found = list(door.pages(f"/v1/workspaces/{workspace}/sources", {"limit": 500}))
    if not found:
        raise Told("The sync brought nothing.", "Is the repository empty, or the token without access to it?")
    return found


def counted(sources: Sequence[Json]) -> Table:
    """Sources by type, and how many of them are searchable."""
    table = Table("", "sources", "ready", "failed", box=None, padding=(0, 2), header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    kinds = Counter(one["type"] for one in sources)
    for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        mine = [one for one in sources if one["type"] == kind]
        ready, failed = (sum(one["status"] == status for one in mine) for status in ("ready", "failed"))
        table.add_row(PLURALS.get(kind, kind), f"{count:,}", f"{ready:,}", f"[red]{failed}[/red]" if failed else "0")
    return table
