"""What was synced: the sources, one of them with its text, and the files that changed."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Cursor, Limit, Workspace, find_integration, gateway
from libs.cli.screen import ago, details, emit, out, short, table
from libs.local.client import Json, Told

Type = Annotated[str, typer.Option("--type", "-t", help="issue, pull_request, file, …")]
Status = Annotated[str, typer.Option("--status", help="pending, processing, ready, failed or deleted")]
Integration = Annotated[str, typer.Option("--integration", "-i", help="Only this one, by id or type.")]
Of = Annotated[str, typer.Option("--source", "-s", help="Those of one pull request or push, by its source's id.")]
Path = Annotated[str, typer.Option("--path", help="Who changed this path.")]

FileStatus = Annotated[str, typer.Option("--status", help="added, modified, removed, renamed, copied or changed")]
Since = Annotated[str, typer.Option("--since", help="Only later than this time, with its offset.")]


def sources(
    workspace: Workspace = DEFAULT,
    type_: Type = "",
    status: Status = "",
    integration: Integration = "",
    cursor: Cursor = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """What was synced."""
    asked = {name: value for name, value in (("type", type_), ("status", status), ("cursor", cursor)) if value}
    with gateway() as door:
        if integration:
            asked["integration"] = find_integration(door, workspace, integration)["id"]
        page = door.get(f"/v1/workspaces/{workspace}/sources", {**asked, "limit": limit})
    emit(page, as_json, lambda: _draw(page))


def source(
    source_id: Annotated[str, typer.Argument(help="Its id, from `sluice sources` or `sluice search`.")],
    as_json: AsJson = False,
) -> None:
    """One source with its text."""
    with gateway() as door:
        found = door.get(f"/v1/sources/{source_id}")
    emit(found, as_json, lambda: _show(found))


def changed_files(
    of: Of = "",
    path: Path = "",
    status: FileStatus = "",
    since: Since = "",
    workspace: Workspace = DEFAULT,
    cursor: Cursor = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Which paths a pull request or a push changed, or who changed a path."""
    if bool(of) == bool(path):
        raise Told("Name a source or a path.", "sluice changed-files --source ID, or --path src/main.py")
    place = f"/v1/sources/{of}/changed-files" if of else f"/v1/workspaces/{workspace}/changed-files"
    given = (("path", path), ("status", status), ("since", since), ("cursor", cursor))
    asked = {name: value for name, value in given if value}
    with gateway() as door:
        page = door.get(place, {**asked, "limit": limit})
    emit(page, as_json, lambda: _draw_changes(page))


def _draw(page: Json) -> None:
    rows = [
        (one["type"], short(one["name"], 70), one["status"], str(one["version"]), one["id"]) for one in page["items"]
    ]
    table(("type", "name", "status", "version", "id"), rows, "Nothing is synced yet.", page["nextCursor"])


def _show(one: Json) -> None:
    details(
        [
            ("id", one["id"]), ("type", one["type"]), ("name", one["name"]), ("path", one["path"] or ""),
            ("address", one["url"]), ("author", one["author"]), ("status", one["status"]),
            ("trouble", one["statusDetail"] or ""), ("version", str(one["version"])),
            ("changed", ago(one["updatedAt"])),
        ]
    )  # fmt: skip
    out.print()
    out.print(escape(one["content"] or ""), soft_wrap=True)


def _draw_changes(page: Json) -> None:
    rows = [
        (
            one["status"], one["path"], one["previousPath"] or "", _count("+", one["additions"]),
            _count("-", one["deletions"]), one["sourceId"],
        )
        for one in page["items"]
    ]  # fmt: skip
    columns = ("status", "path", "was", "added", "removed", "source")
    table(columns, rows, "No file was changed.", page["nextCursor"])


def _count(sign: str, lines: int | None) -> str:
    return "" if lines is None else f"{sign}{lines:,}"
