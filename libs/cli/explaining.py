"""Why something is here, or why it is not: the steps of all four services as one way from the provider to a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Workspace, find_integration, gateway
from libs.cli.screen import ago, emit, out
from libs.local.client import Gateway, Json, Refused, Told

What = Annotated[str, typer.Argument(help="A source's id, or what its provider calls it: issue:12, file:src/main.py.")]
Integration = Annotated[str, typer.Option("--integration", "-i", help="Only in this one, by id or type.")]
Resource = Annotated[str, typer.Option("--resource", "-r", help="Only in this one: owner/name, or an id.")]
CHOICES = ("integration", "resource", "feature", "window")
MARKS = {"passed": "[green]✓[/green]", "stopped": "[red]✗[/red]", "waiting": "[yellow]…[/yellow]", "noted": "·"}


def explain(
    what: What,
    integration: Integration = "",
    resource: Resource = "",
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Every step from the provider's object to a search, with time and reason; or why it is not here."""
    with gateway() as door:
        found = _found(door, workspace, what, integration, resource)
        told = [_whole(door, one) for one in found]
    emit({"items": told}, as_json, lambda: _draw(told))


def _found(door: Gateway, workspace: str, what: str, integration: str, resource: str) -> list[Json]:
    """By the id of a source first; what is none is looked for under that name in the integrations of the workspace."""
    try:
        return list(door.get("/v1/explain", {"source": what})["items"])
    except Refused as refusal:
        if refusal.status != 404:
            raise
    if integration:
        chosen = [find_integration(door, workspace, integration)]
    else:
        chosen = list(door.pages(f"/v1/workspaces/{workspace}/integrations"))
    if not chosen:
        raise Told(f"Nothing is connected in workspace {workspace}.", "`sluice connect` connects a provider.")
    asked = {"externalId": what} | ({"resource": resource} if resource else {})
    return [item for one in chosen for item in door.get("/v1/explain", {**asked, "integration": one["id"]})["items"]]


def _whole(door: Gateway, item: Json) -> Json:
    """Sync's steps between what auth, webhooks and the chunker know; each is asked through the front door."""
    chosen = [step for step in item["steps"] if step["step"] in CHOICES]
    rest = [step for step in item["steps"] if step["step"] not in CHOICES]
    steps = [
        *_by("auth", _grant(door, item)),
        *_by("sync", chosen),
        *_by("webhooks", _hooks(door, item)),
        *_by("sync", rest),
        *_by("chunker", _index(door, item)),
    ]
    searchable = bool(steps) and steps[-1]["code"] == "searchable"
    return {**item, "steps": steps, "searchable": searchable}


def _by(service: str, steps: Sequence[Json]) -> list[Json]:
    return [{"service": service, **step} for step in steps]


def _grant(door: Gateway, item: Json) -> list[Json]:
    """What auth says of the integration as a whole: it may know of a lost grant before anyone else."""
    try:
        found = door.get(f"/v1/integrations/{item['integrationId']}")
    except Refused as refusal:
        return [_step("grant", "stopped", refusal.code, "the integration is disconnected, or was never here")]
    facts = {name: found[name] for name in ("lastPolledAt", "nextPollAt", "errorCount")}
    detail = found["lastError"] or f"{found['name']} is {found['status']}"
    outcome = "passed" if found["status"] == "active" else "stopped"
    return [_step("grant", outcome, found["status"], detail, found["lastPolledAt"], facts)]


def _hooks(door: Gateway, item: Json) -> list[Json]:
    if item["resourceExternalId"] is None or item["stream"] is None:
        return []
    asked = {"resource": item["resourceExternalId"], "stream": item["stream"], "key": item["externalId"]}
    try:
        return list(door.get(f"/v1/integrations/{item['integrationId']}/explain", asked)["steps"])
    except Refused as refusal:
        return [_step("hook", "noted", refusal.code, "webhooks does not know this integration")]


def _index(door: Gateway, item: Json) -> list[Json]:
    if item["sourceId"] is None:
        return [_step("search", "stopped", "not_searchable", "there is no source of it that could be found")]
    place = f"/v1/workspaces/{item['workspaceId']}/sources/{item['sourceId']}/explain"
    return list(door.get(place)["steps"])


def _step(step: str, outcome: str, code: str, detail: str, at: str | None = None, facts: Json | None = None) -> Json:
    return {"step": step, "outcome": outcome, "code": code, "detail": detail, "at": at, "facts": facts or {}}


def _draw(items: list[Json]) -> None:
    for item in items:
        where = item["resourceExternalId"] or "no resource"
        state = "here" if item["present"] else "not here"
        found = "found by search" if item["searchable"] else "not found by search"
        head = f"[bold]{escape(item['externalId'])}[/bold] of {escape(item['provider'])}, {escape(where)}"
        out.print(f"{head}: {state} ({escape(item['reason'])}), {found}")
        for step in item["steps"]:
            out.print(_line(step), soft_wrap=True)
        out.print()


def _line(step: Json) -> str:
    at = ago(step["at"]) if step["at"] else ""
    named = f"[dim]{step['service']:<9}[/dim]{escape(step['step']):<12}"
    return f"  {MARKS[step['outcome']]} {named}{escape(step['detail'])}  [dim]{at}[/dim]"
