"""How fresh the copy of an integration is, resource by resource, and when and why it is looked at next."""

from __future__ import annotations

from libs.cli.asking import DEFAULT, AsJson, Which, Workspace, find_integration, gateway
from libs.cli.screen import ago, emit, out, table
from libs.local.client import Json


def freshness(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """How fresh the copy is, what is promised, and when it is looked at next."""
    with gateway() as door:
        found = find_integration(door, workspace, which)
        page = door.get(f"/v1/integrations/{found['id']}/resources", {"selected": "true"})
    told = {"freshness": page["freshness"], "resources": page["selected"]}
    emit(told, as_json, lambda: _draw(page))


def _draw(page: Json) -> None:
    out.print(summary(page["freshness"]))
    columns = ("resource", "whole as of", "deletions as of", "promised", "kept", "next look", "why")
    table(columns, [row(one) for one in page["selected"]], "Nothing is selected.")


def row(one: Json) -> tuple[str, ...]:
    fresh = one["freshness"]
    return (
        one["name"], ago(fresh["freshAsOf"]), ago(fresh["sweptAsOf"]), span(fresh["objectiveSeconds"]),
        KEPT[fresh["objectiveMet"]], ago(one["nextPollAt"]) if one["nextPollAt"] else "", one["pollReason"] or "",
    )  # fmt: skip


KEPT = {True: "yes", False: "no", None: ""}


def summary(fresh: Json) -> str:
    if fresh["objectiveMet"] is None:
        return "Nothing is promised: polling and monitoring are off, or it is paused."
    if fresh["objectiveMet"]:
        return f"Every copy is as fresh as promised; the oldest is whole as of {ago(fresh['freshAsOf'])}."
    return f"{fresh['lateResources']} of {fresh['resources']} copies are older than promised."


def span(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
