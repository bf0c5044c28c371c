"""The picker: what an integration could sync, and what it does."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.asking import DEFAULT, AsJson, Cursor, Which, Workspace, find_integration, gateway
from libs.cli.screen import ago, emit, short, standing, table
from libs.local.client import Gateway, Json, Told

app = typer.Typer(help="What an integration could sync, and what it does.", no_args_is_help=True)

Query = Annotated[str, typer.Option("--query", "-q", help="Only those with these letters in their name.")]
Selected = Annotated[bool, typer.Option("--selected", help="Only what is selected, without asking the provider.")]
Since = Annotated[str, typer.Option("--since", help="Read back to this date, as 2026-01-31.")]
ONLY_SELECTED = {"selected": "true"}
Names = Annotated[list[str], typer.Argument(help="owner/name, an address or an id; several.")]


@app.command("list")
def list_resources(
    which: Which,
    query: Query = "",
    selected: Selected = False,
    cursor: Cursor = "",
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What could be synced, most recently active first."""
    given = (("query", query), ("cursor", cursor), ("selected", "true" if selected else ""))
    asked = {name: value for name, value in given if value}
    with gateway() as door:
        page = door.get(_place(door, workspace, which), asked)
    items = page["selected"] if selected else page["items"]
    emit(page, as_json, lambda: _draw(items, page["nextCursor"]))


@app.command("select")
def select(
    which: Which, names: Names, since: Since = "", workspace: Workspace = DEFAULT, as_json: AsJson = False
) -> None:
    """Sync these as well; what is new is read at once. With --since as far back as that date."""
    with gateway() as door:
        place = _place(door, workspace, which)
        known = [one["externalId"] for one in door.get(place, ONLY_SELECTED)["selected"]]
        chosen = [{"reference": name, "since": since} for name in names] if since else names
        page = door.put(place, {"selected": [*(one for one in known if one not in names), *chosen]})
    emit(page, as_json, lambda: _draw(page["selected"], None))


@app.command("deselect")
def deselect(which: Which, names: Names, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Sync these no longer; what was synced from them goes."""
    with gateway() as door:
        place = _place(door, workspace, which)
        page = door.put(place, {"selected": kept(door.get(place, ONLY_SELECTED)["selected"], names)})
    emit(page, as_json, lambda: _draw(page["selected"], None))


def kept(selected: list[Json], names: list[str]) -> list[str]:
    """The ids that stay. A name that is not selected is told: silence would look like success."""
    marks = {name: [one for one in selected if name in (one["externalId"], one["name"], one["url"])] for name in names}
    unknown = [name for name, found in marks.items() if not found]
    if unknown:
        chosen = ", ".join(one["name"] for one in selected) or "nothing"
        raise Told(f"Not selected: {', '.join(unknown)}.", f"Selected: {chosen}.")
    going = {one["externalId"] for found in marks.values() for one in found}
    return [one["externalId"] for one in selected if one["externalId"] not in going]


def _place(door: Gateway, workspace: str, which: str) -> str:
    return f"/v1/integrations/{find_integration(door, workspace, which)['id']}/resources"


def _draw(items: list[Json], following: str | None) -> None:
    rows = [
        (
            "✓" if one["selected"] else "", one["name"], standing(one), (one["since"] or "")[:10],
            ago(one["lastPolledAt"]),
            ago(one["nextPollAt"]) if one["nextPollAt"] else "", short(one["pollReason"] or "", 50),
            short(one["error"]["detail"], 40) if one["error"] else "", one["externalId"],
        )
        for one in items
    ]  # fmt: skip
    table(
        ("", "name", "state", "since", "last sync", "next look", "why", "error", "id"),
        rows,
        "Nothing that this grant can see.",
        following,
    )
