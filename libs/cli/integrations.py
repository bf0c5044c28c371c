"""What is connected: list, look at, configure, pause, resume, check, disconnect."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Which, Workspace, Yes, confirm, find_integration, gateway
from libs.cli.screen import ago, details, emit, out, short, table
from libs.local.client import Json, Told

Name = Annotated[str | None, typer.Option("--name", help="Another name.")]
Features = Annotated[list[str] | None, typer.Option("--feature", "-f", help="Exactly these from now on; repeat.")]
Monitor = Annotated[bool | None, typer.Option("--monitor/--no-monitor", help="Register hooks, or remove them.")]
Poll = Annotated[int | None, typer.Option("--poll", min=0, help="Look every so many minutes; 0 = only when asked.")]


def list_integrations(workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """What is connected in a workspace."""
    with gateway() as door:
        found = list(door.pages(f"/v1/workspaces/{workspace}/integrations"))
    emit({"items": found}, as_json, lambda: _draw(found))


def show(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Everything about one integration."""
    with gateway() as door:
        found = find_integration(door, workspace, which)
    emit(found, as_json, lambda: details(shown(found)))


def configure(
    which: Which,
    name: Name = None,
    features: Features = None,
    monitor: Monitor = None,
    poll: Poll = None,
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Change what is given and leave the rest: hooks, polling and what is synced follow at once."""
    body = configure_body(name, features, monitor, poll)
    with gateway() as door:
        found = find_integration(door, workspace, which)
        changed = door.patch(f"/v1/integrations/{found['id']}", body)
    emit(changed, as_json, lambda: details(shown(changed)))


def configure_body(name: str | None, features: list[str] | None, monitor: bool | None, poll: int | None) -> Json:
    given: dict[str, Any] = {"name": name, "features": features, "monitorChanges": monitor}
    if poll is not None:
        given |= {"pollingEnabled": poll > 0, "pollingInterval": poll or None}
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise Told("Nothing to change.", "Give --name, --feature, --monitor/--no-monitor or --poll.")
    return body


def pause(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Stop syncing and remove the hooks; everything synced stays and is found."""
    _say(which, workspace, "pause", as_json, "Paused {name}; `sluice resume` goes on where it was.")


def resume(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Go on after a pause."""
    _say(which, workspace, "resume", as_json, "{name} is {status}; `sluice sync` brings what was missed.")


def _say(which: str, workspace: str, verb: str, as_json: bool, words: str) -> None:
    with gateway() as door:
        found = find_integration(door, workspace, which)
        now = door.post(f"/v1/integrations/{found['id']}/{verb}")
    emit(now, as_json, lambda: out.print(words.format(name=escape(now["name"]), status=now["status"])))


def check(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Ask the provider whether the grant is alive; exits 1 unless it is."""
    with gateway() as door:
        found = find_integration(door, workspace, which)
        verdict = door.post(f"/v1/integrations/{found['id']}/check")
    emit(verdict, as_json, lambda: out.print(f"{escape(found['name'])}: {verdict['result']}."))
    if verdict["result"] == "failed":
        raise Told(verdict["detail"], f"`sluice reconnect {found['type']}` gives it a new token or consent.")
    if verdict["result"] != "passed":
        raise Told(f"The provider could not say: {verdict['detail']}", "Try again later; nothing was changed.")


def disconnect(which: Which, workspace: Workspace = DEFAULT, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove hooks, copy and index of an integration."""
    with gateway() as door:
        found = find_integration(door, workspace, which)
        confirm(f"Disconnect {found['name']} and remove everything synced from it?", yes or as_json)
        door.delete(f"/v1/integrations/{found['id']}")
    answer = {"id": found["id"], "state": "disconnected"}
    emit(answer, as_json, lambda: out.print(f"Disconnected {escape(found['name'])}; what was synced is being removed."))


def shown(one: Json) -> list[tuple[str, str]]:
    """What a person wants to know of one integration, in order."""
    hooks = one["webhook"]
    reason = f" ({one['statusReason']})" if one["statusReason"] else ""
    return [
        ("id", one["id"]), ("type", one["type"]), ("name", one["name"]), ("status", f"{one['status']}{reason}"),
        ("account", one["account"]["name"]), ("features", ", ".join(one["features"])),
        ("hooks", f"{hooks['state']}, {hooks['subscriptions']} at the provider" if one["monitorChanges"] else "off"),
        ("hook trouble", hooks["detail"]), ("last delivery", ago(hooks["lastDeliveryAt"])), ("polling", polling(one)),
        ("last sync", ago(one["lastPolledAt"])), ("changes", f"{one['changeCount']:,}"),
        ("last error", one["lastError"] or ""), ("errors in a row", str(one["errorCount"] or "")),
        ("connected", ago(one["createdAt"])),
    ]  # fmt: skip


def polling(one: Json) -> str:
    if not one["pollingEnabled"]:
        return "off"
    return f"every {one['pollingInterval']} min, next {ago(one['nextPollAt'])}"


def _draw(found: list[Json]) -> None:
    rows = [
        (
            one["type"], one["name"], one["status"], one["webhook"]["state"] if one["monitorChanges"] else "off",
            f"{one['pollingInterval']} min" if one["pollingEnabled"] else "off",
            ago(one["lastPolledAt"]), str(one["changeCount"]), short(one["lastError"] or ""), one["id"],
        )
        for one in found
    ]  # fmt: skip
    columns = ("type", "name", "status", "hooks", "polling", "last sync", "changes", "last error", "id")
    table(columns, rows, "Nothing is connected. `sluice connect github` connects.")
