"""Starting, stopping and looking at the stack of this checkout."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from libs.cli.asking import DEFAULT, AsJson
from libs.cli.screen import emit, out, table
from libs.local.client import Gateway, Json, Told
from libs.local.demo.starting import start
from libs.local.endpoints import Endpoints, read_endpoints
from libs.local.ledger import Page
from libs.local.state import State, find_root
from libs.local.up import current_page
from libs.local.up import down as stop

Sandbox = Annotated[
    bool, typer.Option("--sandbox/--no-sandbox", envvar="SANDBOX", help="Also start the stand-ins of the providers.")
]


def up(sandbox: Sandbox = False, as_json: AsJson = False) -> None:
    """Start everything and return when it is ready."""
    root = find_root()
    endpoints = start(root, sandbox=sandbox, screen=None if as_json else out)
    with Gateway.of(root) as door:
        door.put(f"/v1/workspaces/{DEFAULT}")
    emit(msgspec.to_builtins(endpoints), as_json, lambda: _ready(endpoints))


def down(as_json: AsJson = False) -> None:
    """Stop everything that `up` started; data stays."""
    stop(find_root())
    emit({"state": "stopped"}, as_json, lambda: out.print("Stopped. Data stays in .sluice/ for the next `make up`."))


def status(as_json: AsJson = False) -> None:
    """What runs, and where it answers."""
    state = State(find_root() / ".sluice")
    page, endpoints = current_page(state), read_endpoints(state)
    if page is None:
        raise Told("Sluice is not running.", "Start it with `make up` (or `SANDBOX=1 make up` for the stand-ins).")
    emit(_status(page, endpoints), as_json, lambda: _draw(page, endpoints))


def _status(page: Page, endpoints: Endpoints | None) -> Json:
    """The endpoints as written, beside the state of every process."""
    places: Json = msgspec.to_builtins(endpoints) if endpoints else {}
    processes = {name: {"state": one.state, "restarts": one.restarts} for name, one in page.processes.items()}
    return {**places, "ready": page.ready, "processes": processes}


def _draw(page: Page, endpoints: Endpoints | None) -> None:
    rows = [
        (name, one.state, str(one.restarts), str(one.identity.pid) if one.identity else "", one.log)
        for name, one in page.processes.items()
        if one.state != "done"
    ]
    table(("part", "state", "restarts", "pid", "log"), rows, "nothing runs")
    if endpoints is not None:
        _ready(endpoints)


def _ready(endpoints: Endpoints) -> None:
    out.print(f"\n[bold]Sluice[/bold] answers at [cyan]{escape(endpoints.gateway)}[/cyan], key in {endpoints.key_file}")
    if _lacks_model(endpoints):
        out.print("Searches go by words alone: the embedding model is missing. docs/embeddings.md says how to get it.")
    if endpoints.sandbox:
        out.print(f"The sandbox answers at [cyan]{escape(endpoints.sandbox)}[/cyan], see libs/sandbox/README.md")


def _lacks_model(endpoints: Endpoints) -> bool:
    """As the chunker itself says; one that does not answer is seen in the list of parts."""
    try:
        with Gateway(endpoints.services["chunker"], "") as chunker:
            return chunker.get("/readyz")["checks"].get("embedder") is False
    except Told:
        return False
