"""Connecting, listing and disconnecting integrations."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Workspace, Yes, confirm, find_integration, gateway
from libs.cli.screen import ago, emit, out, short, table
from libs.local.client import Gateway, Json, Told, endpoints_of
from libs.local.state import find_root

FromStdin = Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")]
Features = Annotated[list[str] | None, typer.Option("--feature", "-f", help="Repeat; the provider's own by default.")]
Resources = Annotated[list[str] | None, typer.Option("--resource", "-r", help="owner/name and the like; repeat.")]
Url = Annotated[str, typer.Option("--url", help="The address of a site, for providers that connect by one.")]
Monitor = Annotated[bool, typer.Option("--monitor", help="Register hooks, so that changes arrive at once.")]
Poll = Annotated[int, typer.Option("--poll", min=0, help="Look every so many minutes; 0 = only when asked.")]
SANDBOX_TOKEN = "ghp_sandbox"  # noqa: S105 - opens nothing but the local stand-in


def connect(
    provider: Annotated[str, typer.Argument(help="github, … (`sluice providers` lists them)")],
    from_stdin: FromStdin = False,
    url: Url = "",
    workspace: Workspace = DEFAULT,
    resources: Resources = None,
    features: Features = None,
    monitor: Monitor = False,
    poll: Poll = 0,
    as_json: AsJson = False,
) -> None:
    """Connect a provider by token or by the address of a site; the first sync starts at once.

    The token comes from <PROVIDER>_TOKEN, from standard input or from a prompt, never from the command line,
    where other accounts of the machine could read it.
    """
    token = "" if url else read_token(provider, from_stdin)
    body = connect_body(provider, token, url, resources, features, monitor, poll)
    with gateway() as door:
        made = door.post(f"/v1/workspaces/{workspace}/integrations", body)
    emit(made, as_json, lambda: _connected(made))


def connect_body(
    provider: str,
    token: str,
    url: str,
    resources: list[str] | None,
    features: list[str] | None,
    monitor: bool,
    poll: int,
) -> Json:
    """What is not asked is left out: the service has the defaults."""
    body: Json = {"provider": provider, "monitorChanges": monitor, "pollingEnabled": poll > 0}
    optional: dict[str, Any] = {"token": token, "url": url, "resources": resources, "features": features}
    optional["pollingInterval"] = poll or None
    return body | {name: value for name, value in optional.items() if value}


def read_token(provider: str, from_stdin: bool) -> str:
    variable = f"{provider.upper().replace('-', '_')}_TOKEN"
    if from_stdin:
        return sys.stdin.readline().strip()
    if token := os.environ.get(variable):
        return token
    if sandbox_runs():
        return os.environ.get("SANDBOX_GITHUB_TOKEN") or SANDBOX_TOKEN
    if not sys.stdin.isatty():
        hint = f"Set {variable}, or pipe it: `… | sluice connect {provider} --token-stdin`."
        raise Told(f"No token for {provider}.", hint)
    return str(typer.prompt(f"Token for {provider}", hide_input=True))


def sandbox_runs() -> bool:
    return endpoints_of(find_root()).sandbox is not None


def list_integrations(workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """What is connected in a workspace."""
    with gateway() as door:
        found = list(door.pages(f"/v1/workspaces/{workspace}/integrations"))
    emit({"items": found}, as_json, lambda: _draw(found))


def disconnect(
    integration: Annotated[str, typer.Argument(help="Its id, or its type in the workspace.")],
    workspace: Workspace = DEFAULT,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove hooks, copy and index of an integration."""
    with gateway() as door:
        found = find_integration(door, workspace, integration)
        confirm(f"Disconnect {found['name']} and remove everything synced from it?", yes or as_json)
        _remove(door, found)
    answer = {"id": found["id"], "state": "disconnected"}
    emit(answer, as_json, lambda: out.print(f"Disconnected {escape(found['name'])}; what was synced is being removed."))


def _remove(door: Gateway, found: Json) -> None:
    door.delete(f"/v1/integrations/{found['id']}")


def _connected(made: Json) -> None:
    out.print(f"Connected [bold]{escape(made['name'])}[/bold] as {escape(made['account']['name'])} ({made['id']}).")
    out.print('The first sync runs: `sluice sync --wait` shows it, `sluice search "…"` asks what is there already.')


def _draw(found: list[Json]) -> None:
    rows = [
        (
            one["type"], one["name"], one["status"], "on" if one["monitorChanges"] else "off",
            f"{one['pollingInterval']} min" if one["pollingEnabled"] else "off",
            ago(one["lastPolledAt"]), str(one["changeCount"]), short(one["lastError"] or ""), one["id"],
        )
        for one in found
    ]  # fmt: skip
    columns = ("type", "name", "status", "hooks", "polling", "last sync", "changes", "last error", "id")
    table(columns, rows, "Nothing is connected. `sluice connect github` connects.")
