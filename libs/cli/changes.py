"""What changed in a workspace: the feed from any point on, once or for as long as somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from libs.cli.asking import DEFAULT, AsJson, Workspace, find_integration, gateway
from libs.cli.screen import ago, emit, table
from libs.local.client import Gateway, Json

Cursor = Annotated[str, typer.Option("--cursor", help="Where to go on; also `latest` (from now) or `oldest` (kept).")]
Type = Annotated[str, typer.Option("--type", "-t", help="issue, pull_request, file, …")]
Change = Annotated[str, typer.Option("--change", help="created, updated, renamed or deleted")]
Cause = Annotated[str, typer.Option("--cause", help="poll, webhook, manual or sweep")]
Integration = Annotated[str, typer.Option("--integration", "-i", help="Only this one, by id or type.")]
Resource = Annotated[str, typer.Option("--resource", "-r", help="Only of this resource, by its id.")]
Since = Annotated[str, typer.Option("--since", help="Only later than this time, with its offset.")]
Compact = Annotated[bool, typer.Option("--compact", help="Each source once, as it is now, then go on from there.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on for ever; with --json a line for each change.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
WAIT_S = 20
COLUMNS = ("seq", "when", "change", "type", "cause", "version", "source")


def changes(
    cursor: Cursor = "oldest",
    type_: Type = "",
    change: Change = "",
    cause: Cause = "",
    integration: Integration = "",
    resource: Resource = "",
    since: Since = "",
    compact: Compact = False,
    follow: Follow = False,
    limit: Limit = 100,
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What changed, in the order in which it did; by default from the oldest change that is kept."""
    given = {
        "type": type_, "change": change, "cause": cause, "resource": resource, "since": since,
        "compact": "latest" if compact else "", "cursor": "" if compact and cursor == "oldest" else cursor,
    }  # fmt: skip
    asked: dict[str, str | int] = {name: value for name, value in given.items() if value}
    with gateway() as door:
        if integration:
            asked["integration"] = find_integration(door, workspace, integration)["id"]
        place = f"/v1/workspaces/{workspace}/changes"
        if follow:
            _watch(door, place, {**asked, "limit": limit}, as_json)
        page = door.get(place, {**asked, "limit": limit})
    emit(page, as_json, lambda: _draw(page, page["nextCursor"]))


def _watch(door: Gateway, place: str, asked: dict[str, str | int], as_json: bool) -> None:
    """Until it is interrupted; the cursor stands beside each line, so that a script goes on where it was killed."""
    try:
        for page in followed(door, place, asked):
            if as_json:
                for item in page["items"]:
                    sys.stdout.write(msgspec.json.encode({**item, "cursor": page["nextCursor"]}).decode() + "\n")
                sys.stdout.flush()
            elif page["items"]:
                _draw(page, None)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def followed(door: Gateway, place: str, asked: dict[str, str | int]) -> Iterator[Json]:
    while True:
        page = door.get(place, {**asked, "wait": WAIT_S})
        asked["cursor"] = page["nextCursor"]
        yield page


def _draw(page: Json, following: str | None) -> None:
    table(COLUMNS, map(_row, page["items"]), "No change.", following)


def _row(item: Json) -> tuple[str, ...]:
    event = item["event"]
    return (
        str(item["seq"] or ""), ago(item["occurredAt"]), event["change"], event["type"], event.get("cause", ""),
        str(event["version"]), event["source_id"],
    )  # fmt: skip
