"""Reading what a source, an integration or a workspace is about, and saying what an answer was worth."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Cursor, Limit, Workspace, gateway
from libs.cli.screen import emit, out
from libs.local.client import Gateway, Json, Refused, Told

PLACES = ("/v1/sources/{}/summary", "/v1/resources/{}/summary", "/v1/integrations/{}/summary", "/v1/summaries/{}")
SIGNALS = ("helpful", "unhelpful", "outdated", "incorrect")
What = Annotated[str, typer.Argument(help="A source, resource or integration by its id; nothing is the workspace.")]
Level = Annotated[str, typer.Option("--level", help="All of this level below: section, source, resource, integration.")]
Chunk = Annotated[bool, typer.Option("--chunk", help="The id is a chunk's.")]
Query = Annotated[str, typer.Option("--query", "-q", help="What was searched for.")]
Comment = Annotated[str, typer.Option("--comment", "-c", help="In your own words.")]


def summary(
    what: What = "",
    workspace: Workspace = DEFAULT,
    level: Level = "",
    limit: Limit = 20,
    cursor: Cursor = "",
    as_json: AsJson = False,
) -> None:
    """What it is about, and what is below it."""
    asked = {"limit": str(limit), "level": level, "cursor": cursor}
    asked = {name: value for name, value in asked.items() if value}
    with gateway() as door:
        found = _found(door, what, asked) if what else door.get(f"/v1/workspaces/{workspace}/summary", asked)
    emit(found, as_json, lambda: _draw(found))


def feedback(
    signal: Annotated[str, typer.Argument(help="helpful, unhelpful, outdated or incorrect.")],
    about: Annotated[str, typer.Argument(help="A source by its id, or a chunk with --chunk.")],
    chunk: Chunk = False,
    query: Query = "",
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Say what an answer was worth; a later word replaces the first."""
    if signal not in SIGNALS:
        raise Told(f"There is no signal {signal}.", f"Known: {', '.join(SIGNALS)}.")
    body = {"signal": signal, "chunkId" if chunk else "sourceId": about, "query": query, "comment": comment}
    with gateway() as door:
        saved = door.post("/v1/feedback", body)
    emit(saved, as_json, lambda: out.print(f"Recorded: {signal}."))


def _found(door: Gateway, what: str, asked: dict[str, str]) -> Json:
    """Whatever has this id."""
    for place in PLACES:
        try:
            return door.get(place.format(what), asked)
        except Refused as refusal:
            if refusal.status not in (404, 400, 422):
                raise
    raise Told(f"Nothing is summarised as {what}.", "`sluice sources` and `sluice integrations` list ids.")


def _draw(found: Json) -> None:
    node = found["node"]
    state = ", to be made anew" if node["stale"] else ""
    out.print(f"[bold]{escape(node['title'] or node['id'])}[/bold] [dim]{node['level']}, {node['method']}{state}[/dim]")
    out.print(escape(node["text"]), soft_wrap=True)
    for item in found["items"]:
        out.print(f"\n  [bold]{escape(item['title'] or item['id'])}[/bold] [dim]{escape(item['id'])}[/dim]")
        out.print(f"  {escape(item['text'])}", soft_wrap=True)
    if found["nextCursor"]:
        out.print(f"[dim]more: --cursor {escape(found['nextCursor'])}[/dim]")
