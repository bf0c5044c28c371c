"""Deletions that wait for somebody's word, and bringing back what a whole listing deleted."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import (
    DEFAULT,
    AsJson,
    Cursor,
    Limit,
    Which,
    Workspace,
    Yes,
    confirm,
    find_integration,
    gateway,
    page_of,
)
from libs.cli.screen import ago, details, emit, out, table
from libs.local.client import Json

app = typer.Typer(help="What a sweep deleted, and what it held for approval.", no_args_is_help=True)
Held = Annotated[str, typer.Argument(help="A held deletion, by id, from `sluice deletions list`.")]
OfSweep = Annotated[bool, typer.Option("--sweep", help="The id is a sweep's, from `sluice deletions sweeps`.")]


@app.command("list")
def list_held(
    which: Which, workspace: Workspace = DEFAULT, cursor: Cursor = "", limit: Limit = 20, as_json: AsJson = False
) -> None:
    """Deletions that were too many to be believed, newest first."""
    with gateway() as door:
        page = door.get(f"{_place(find_integration(door, workspace, which))}/held-deletions", page_of(cursor, limit))
    rows = [
        (one["id"], one["state"], f"{one['remaining']:,} of {one['of']:,}", one["resourceName"] or one["resourceId"],
         one["stream"], ago(one["createdAt"]))
        for one in page["items"]
    ]  # fmt: skip
    columns = ("id", "state", "would go", "resource", "stream", "held")
    emit(page, as_json, lambda: table(columns, rows, "Nothing is held, and nothing was.", page["nextCursor"]))


@app.command("sweeps")
def list_sweeps(
    which: Which, workspace: Workspace = DEFAULT, cursor: Cursor = "", limit: Limit = 20, as_json: AsJson = False
) -> None:
    """Whole listings and what they proved, newest first."""
    with gateway() as door:
        page = door.get(f"{_place(find_integration(door, workspace, which))}/sweeps", page_of(cursor, limit))
    rows = [
        (one["id"], one["state"], one["resourceName"] or one["resourceId"], one["stream"],
         f"{one['certificate']['items']:,}", str(one["certificate"]["errors"]), f"{one['missing']:,}",
         f"{one['deleted']:,}", "✓" if one["restorable"] else "", ago(one["startedAt"]))
        for one in page["items"]
    ]  # fmt: skip
    columns = (
        "id", "state", "resource", "stream", "items", "errors", "missing", "deleted", "restorable", "started",
    )  # fmt: skip
    emit(page, as_json, lambda: table(columns, rows, "No whole listing yet.", page["nextCursor"]))


@app.command("show")
def show(held: Held, limit: Limit = 50, cursor: Cursor = "", as_json: AsJson = False) -> None:
    """Why it is held, and the sources that would go."""
    with gateway() as door:
        found = door.get(f"/v1/held-deletions/{held}", page_of(cursor, limit))
    emit(found, as_json, lambda: _draw(found))


@app.command("apply")
def apply(held: Held, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete what is held; it can be restored for some days."""
    confirm("Delete these sources?", yes)
    _decide(held, "apply", as_json)


@app.command("reject")
def reject(held: Held, as_json: AsJson = False) -> None:
    """Keep everything."""
    _decide(held, "reject", as_json)


@app.command("restore")
def restore(held: Held, sweep: OfSweep = False, as_json: AsJson = False) -> None:
    """Bring back what was deleted: the same sources, searchable again."""
    with gateway() as door:
        found = door.post(f"/v1/{'sweeps' if sweep else 'held-deletions'}/{held}/restore")
    emit(found, as_json, lambda: out.print(f"{found['restored']:,} sources are back; they are indexed again now."))


def _decide(held: str, word: str, as_json: bool) -> None:
    with gateway() as door:
        found = door.post(f"/v1/held-deletions/{held}/{word}")
    said = f"The deletions are {escape(found['state'])}: {found['deleted']:,} sources went."
    emit(found, as_json, lambda: out.print(said))


def _place(integration: Json) -> str:
    return f"/v1/integrations/{integration['id']}"


def _draw(found: Json) -> None:
    held = found["held"]
    proof = held["certificate"]
    details(
        [
            ("id", held["id"]), ("state", held["state"]), ("why", held["reason"]),
            ("resource", held["resourceName"] or held["resourceId"]),
            ("listing", f"{proof['items']:,} items on {proof['pages']:,} pages, {proof['errors']} errors"),
            ("left", f"{held['remaining']:,} of {held['count']:,}"), ("held", ago(held["createdAt"])),
            ("decided", ago(held["decidedAt"]) if held["decidedAt"] else ""), ("by", held["decidedBy"] or ""),
        ]
    )  # fmt: skip
    rows = [(one["name"], one["type"], one["externalId"], ago(one["lastChangedAt"])) for one in found["items"]]
    table(("name", "type", "key", "last changed"), rows, "", found["nextCursor"])
