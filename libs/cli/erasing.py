"""Erasing a workspace, and the proof that nothing of it is left."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from libs.cli.asking import AsJson, Yes, confirm, gateway
from libs.cli.screen import emit, err, out
from libs.local.client import Told
from libs.local.remains import wait_until_nothing_remains
from libs.local.state import State, find_root

app = typer.Typer(help="Workspaces: make one, erase one.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The application's own id.")]
Verify = Annotated[bool, typer.Option("--verify", help="Wait, and count what is left in every table of every service.")]


@app.command("create")
def create(workspace: Name, as_json: AsJson = False) -> None:
    """Make a workspace; a repeat changes nothing."""
    with gateway() as door:
        made = door.put(f"/v1/workspaces/{workspace}")
    emit(made, as_json, lambda: out.print(f"Workspace {escape(workspace)} is there."))


@app.command("erase")
def erase(workspace: Name, verify: Verify = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase everything of a workspace in every service; its id can never be used again."""
    confirm(f"Erase everything of workspace {workspace}, for good?", yes or as_json)
    with gateway() as door:
        door.delete(f"/v1/workspaces/{workspace}")
    left = wait_until_nothing_remains(State(find_root() / ".sluice"), workspace, err.print) if verify else {}
    if left:
        told = ", ".join(f"{table}: {rows}" for table, rows in left.items())
        raise Told(f"Rows of {workspace} are left: {told}.", "The logs in .sluice/logs tell why.")
    proof = " Every table of every service was counted: nothing is left." if verify else ""
    emit(
        {"workspace": workspace, "erased": True, "verified": verify},
        as_json,
        lambda: out.print(f"Erased {escape(workspace)}.{proof}"),
    )
