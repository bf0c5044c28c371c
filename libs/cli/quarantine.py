"""Items that did not fit the provider's contract: looked at, and asked for again."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Cursor, Limit, Which, Workspace, find_integration, gateway, page_of
from libs.cli.screen import ago, emit, out, short, table
from libs.local.client import Gateway, Json, Told

app = typer.Typer(help="Items that did not fit, kept aside until they do.", no_args_is_help=True)
Keys = Annotated[list[str] | None, typer.Argument(help="Keys to ask for again; none = all.")]


@app.command("list")
def list_items(
    which: Which, workspace: Workspace = DEFAULT, cursor: Cursor = "", limit: Limit = 50, as_json: AsJson = False
) -> None:
    """What is set aside, with why and when it is tried next."""
    with gateway() as door:
        page = door.get(_place(door, workspace, which), page_of(cursor, limit))
    emit(page, as_json, lambda: _draw(page))


@app.command("retry")
def retry(which: Which, keys: Keys = None, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Ask for them again now; `list` shows what still does not fit."""
    with gateway() as door:
        place = _place(door, workspace, which)
        chosen = _chosen(list(door.pages(place)), keys)
        done = [door.post(f"{place}/retry", {"resource": one, "keys": these}) for one, these in chosen.items()]
    named = sum(len(one["keys"]) for one in done)
    streams = sorted({stream for one in done for stream in one["streams"]})
    also = f" Listed whole: {escape(', '.join(streams))}." if streams else ""
    emit({"items": done}, as_json, lambda: out.print(f"{named} items are read again.{also}"))


def _chosen(items: list[Json], keys: list[str] | None) -> dict[str, list[str]]:
    """Resource → keys. One that is not there is told."""
    unknown = sorted(set(keys or ()) - {one["key"] for one in items})
    if unknown:
        raise Told(f"Not in quarantine: {', '.join(unknown)}.", "`sluice quarantine list` shows what is.")
    found: dict[str, list[str]] = {}
    for one in items:
        if not keys or one["key"] in keys:
            found.setdefault(one["resourceId"], []).append(one["key"])
    return found


def _place(door: Gateway, workspace: str, which: str) -> str:
    return f"/v1/integrations/{find_integration(door, workspace, which)['id']}/quarantine"


def _draw(page: Json) -> None:
    rows = [
        (one["key"], one["resourceName"] or one["resourceId"], one["code"], short(one["detail"], 60),
         str(one["attempts"]), ago(one["firstSeenAt"]), one["stream"])
        for one in page["items"]
    ]  # fmt: skip
    columns = ("key", "resource", "code", "detail", "tries", "since", "stream")
    table(columns, rows, "Nothing is in quarantine: everything fits.", page["nextCursor"])
