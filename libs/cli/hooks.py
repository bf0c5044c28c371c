"""Deliveries that came, the hooks at the provider, and the endpoint that a person may set up by hand."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson, Cursor, Limit, Which, Workspace, find_integration, gateway, page_of
from libs.cli.screen import ago, details, emit, err, out, short, table
from libs.local.client import Gateway, Json, Told

deliveries = typer.Typer(help="What the provider has delivered; asking for one to be looked at again.",
                         no_args_is_help=True)  # fmt: skip
endpoint = typer.Typer(help="The address that a provider posts to, and its secret.", no_args_is_help=True)


@deliveries.command("list")
def list_deliveries(
    which: Which, workspace: Workspace = DEFAULT, cursor: Cursor = "", limit: Limit = 20, as_json: AsJson = False
) -> None:
    """What arrived, newest first."""
    with gateway() as door:
        page = door.get(_place(door, workspace, which, "deliveries"), page_of(cursor, limit))
    emit(page, as_json, lambda: _draw_deliveries(page))


@deliveries.command("replay")
def replay(
    delivery: Annotated[str, typer.Argument(help="Its id, from `sluice deliveries list`.")], as_json: AsJson = False
) -> None:
    """Have what a delivery is about looked at once more."""
    with gateway() as door:
        done = door.post(f"/v1/deliveries/{delivery}/replay")
    emit(done, as_json, lambda: out.print(f"Looked at again; `sluice trace {delivery}` shows what came of it."))


def subscriptions(
    which: Which, workspace: Workspace = DEFAULT, cursor: Cursor = "", limit: Limit = 50, as_json: AsJson = False
) -> None:
    """The hooks at the provider: what is wanted of each resource, and what stands."""
    with gateway() as door:
        page = door.get(_place(door, workspace, which, "subscriptions"), page_of(cursor, limit))
    emit(page, as_json, lambda: _draw_subscriptions(page))


@endpoint.command("show")
def show(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Address and set-up steps; the secret only the first time."""
    with gateway() as door:
        found = door.get(_place(door, workspace, which, "webhook-endpoint"))
    emit(found, as_json, lambda: _draw_endpoint(found))


@endpoint.command("rotate")
def rotate(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """A new secret, shown once; the old one stays valid for an hour, and hooks of ours learn it by themselves."""
    with gateway() as door:
        found = door.post(_place(door, workspace, which, "webhook-endpoint/rotate"))
    emit(found, as_json, lambda: _draw_endpoint(found))


@endpoint.command("set-secret")
def set_secret(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """Take the secret that the provider made, from standard input or a prompt."""
    given = str(typer.prompt("Secret", hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not given:
        raise Told("No secret was given.", "Pipe it: `… | sluice webhook-endpoint set-secret github`.")
    with gateway() as door:
        found = door.put(_place(door, workspace, which, "webhook-endpoint/secret"), {"secret": given})
    emit(found, as_json, lambda: out.print("Taken; the one before stays valid for an hour."))


def _place(door: Gateway, workspace: str, which: str, part: str) -> str:
    return f"/v1/integrations/{find_integration(door, workspace, which)['id']}/{part}"


def _draw_deliveries(page: Json) -> None:
    rows = [
        (ago(one["receivedAt"]), one["event"], one["outcome"], short(one["reason"], 30), f"{one['size']:,}",
         str(one["replayed"] or ""), one["id"])
        for one in page["items"]
    ]  # fmt: skip
    columns = ("received", "event", "outcome", "reason", "bytes", "replayed", "id")
    table(columns, rows, "Nothing was delivered yet.", page["nextCursor"])


def _draw_subscriptions(page: Json) -> None:
    rows = [
        (one["name"] or one["externalId"], "yes" if one["wanted"] else "no", one["state"], one["hookId"] or "",
         ago(one["assertedAt"]), ago(one["lastDeliveryAt"]), str(one["missed"]),
         short(one["detail"] or one["lookDetail"], 50))
        for one in page["items"]
    ]  # fmt: skip
    columns = ("resource", "wanted", "state", "hook", "seen", "last delivery", "missed", "trouble")
    empty = "No hook is wanted. `sluice configure … --monitor` asks for them."
    table(columns, rows, empty, page["nextCursor"])


def _draw_endpoint(found: Json) -> None:
    details(
        [
            ("address", found["url"]), ("signature in", found["signatureHeader"]), ("made by", found["registration"]),
            ("secret", found["secret"] or "was shown before; rotate for a new one"),
        ]
    )  # fmt: skip
    if found["registration"] == "api":
        err.print("Sluice makes these hooks itself while changes are monitored.", style="dim")
    for number, step in enumerate(found["steps"], 1):
        out.print(f"  {number}. {escape(step)}")
