"""Answers of a provider that did not fit: what it sent, for whoever looks for the reason."""

from __future__ import annotations

from typing import Annotated

import typer

from libs.cli.asking import DEFAULT, AsJson, Which, Workspace, find_integration, gateway
from libs.cli.screen import ago, details, emit, out, short, table
from libs.local.client import Json

app = typer.Typer(help="Answers that did not fit, while SYNC_CAPTURE_PAGES=failing keeps them.", no_args_is_help=True)
Page = Annotated[str, typer.Argument(help="The id that `captures list` shows.")]


@app.command("list")
def list_captures(which: Which, workspace: Workspace = DEFAULT, as_json: AsJson = False) -> None:
    """The newest answer of each stream that did not fit."""
    with gateway() as door:
        found = door.get(f"/v1/integrations/{find_integration(door, workspace, which)['id']}/captured-pages")
    emit(found, as_json, lambda: _draw_list(found))


@app.command("show")
def show(page: Page, as_json: AsJson = False) -> None:
    """One answer with its body as the provider sent it; secrets in it are masked."""
    with gateway() as door:
        found = door.get(f"/v1/captured-pages/{page}")
    emit(found, as_json, lambda: _draw(found))


def _draw_list(found: Json) -> None:
    rows = [
        (one["id"], one["stream"], str(one["status"]), one["code"], short(one["detail"], 60), ago(one["capturedAt"]),
         ago(one["expiresAt"]))
        for one in found["items"]
    ]  # fmt: skip
    empty = "Nothing is kept: every answer fits, or SYNC_CAPTURE_PAGES is not `failing`."
    table(("id", "stream", "status", "code", "detail", "captured", "expires"), rows, empty)


def _draw(one: Json) -> None:
    details(
        [
            ("asked", one["url"]), ("answered", str(one["status"])), ("stream", one["stream"]),
            ("did not fit", f"{one['code']}: {one['detail']}"), ("captured", ago(one["capturedAt"])),
            ("expires", ago(one["expiresAt"])), ("body", "the first MiB of it" if one["cut"] else ""),
        ]
    )  # fmt: skip
    out.print()
    out.print(one["body"] or "", markup=False, soft_wrap=True)
