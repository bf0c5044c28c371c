"""Options that every command shares, and how a command finds what the caller named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from libs.local.client import Gateway, Json, Told
from libs.local.state import find_root

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
Which = Annotated[str, typer.Argument(help="An integration: its id, its type in the workspace, or its name.")]
Workspace = Annotated[str, typer.Option("--workspace", "-w", help="The application's own id.", envvar="WORKSPACE")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many at most.")]
Cursor = Annotated[str, typer.Option("--cursor", help="Go on where the last answer ended.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DEFAULT = "default"


@contextmanager
def gateway() -> Iterator[Gateway]:
    with Gateway.of(find_root()) as found:
        yield found


def page_of(cursor: str, limit: int) -> dict[str, str | int]:
    return {"limit": limit} | ({"cursor": cursor} if cursor else {})


def find_integration(door: Gateway, workspace: str, named: str) -> Json:
    """By id, by type (one of a type in a workspace) or by name."""
    everything = list(door.pages(f"/v1/workspaces/{workspace}/integrations"))
    for one in everything:
        if named in (one["id"], one["type"], one["name"]) or named.lower() == one["type"]:
            return one
    known = ", ".join(sorted(one["type"] for one in everything)) or "nothing yet"
    raise Told(
        f"No integration {named} in workspace {workspace}.", f"Connected: {known}. `sluice connect {named}` connects."
    )


def find_provider(door: Gateway, named: str) -> Json:
    """By its id in any case and with any separator, as the services take it."""
    everything: list[Json] = door.get("/v1/providers")["items"]
    for one in everything:
        if _plain(one["id"]) == _plain(named):
            return one
    known = ", ".join(one["id"] for one in everything)
    raise Told(f"There is no provider {named}.", f"Known: {known}. `sluice providers` tells how each connects.")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def confirm(question: str, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise typer.Exit(1)
