"""Searching what was synced."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Cursor, Limit, Workspace, find_integration, gateway
from libs.cli.screen import emit, out
from libs.local.client import Json
from libs.local.demo.hits import drawn

Types = Annotated[list[str] | None, typer.Option("--type", "-t", help="issue, pull_request, file, …; repeat.")]
Providers = Annotated[list[str] | None, typer.Option("--provider", "-p", help="github, …; repeat.")]
Integration = Annotated[str, typer.Option("--integration", "-i", help="Only this one, by id or type.")]
Path = Annotated[str, typer.Option("--path", help="Only below this path of a repository.")]
Resource = Annotated[list[str] | None, typer.Option("--resource", "-r", help="Only of this resource, by id; repeat.")]
Author = Annotated[list[str] | None, typer.Option("--author", help="Only by this author; repeat.")]
After = Annotated[str, typer.Option("--after", help="Only what changed since, 2026-01-31T00:00:00Z.")]
Before = Annotated[str, typer.Option("--before", help="Only what changed before.")]
BySource = Annotated[bool, typer.Option("--by-source", help="The best place of each source.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show what made each score.")]


def search(
    words: Annotated[str, typer.Argument(help='Plain words; "words in quotes" must stand in the text.')],
    workspace: Workspace = DEFAULT,
    types: Types = None,
    providers: Providers = None,
    integration: Integration = "",
    resources: Resource = None,
    authors: Author = None,
    path: Path = "",
    after: After = "",
    before: Before = "",
    by_source: BySource = False,
    explain: Explain = False,
    limit: Limit = 10,
    cursor: Cursor = "",
    as_json: AsJson = False,
) -> None:
    """Find what answers these words, best first."""
    with gateway() as door:
        filters = {
            "types": types, "providers": providers, "resources": resources, "authors": authors, "path": path,
            "updatedAfter": after, "updatedBefore": before,
            "integrations": [find_integration(door, workspace, integration)["id"]] if integration else None,
        }  # fmt: skip
        body = search_body(words, filters, limit, cursor) | {"explain": explain}
        body |= {"group": "source"} if by_source else {}
        page = door.post(f"/v1/workspaces/{workspace}/search", body)
    emit(page, as_json, lambda: _draw(page))


def search_body(words: str, filters: dict[str, Any], limit: int, cursor: str = "") -> Json:
    body: Json = {"query": words, "limit": limit, "filters": {name: value for name, value in filters.items() if value}}
    return body | ({"cursor": cursor} if cursor else {})


def _draw(page: Json) -> None:
    for one in page["corrected"]:
        out.print(f"[dim]no {escape(one['word'])} here: looked for {escape(', '.join(one['to']))}[/dim]")
    out.print(drawn(page["items"]))
    if page.get("nextCursor"):
        out.print(f"[dim]more: --cursor {escape(page['nextCursor'])}[/dim]")
