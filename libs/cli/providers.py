"""The catalogue, and a new entry in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from libs.cli.asking import AsJson, gateway
from libs.cli.screen import emit, out, table
from libs.cli.template import copy_template
from libs.local.client import Json


def list_providers(as_json: AsJson = False) -> None:
    """What can be connected, and what an operator has yet to configure."""
    with gateway() as door:
        found = door.get("/v1/providers")
    emit(found, as_json, lambda: _draw(found["items"]))


def new_provider(
    name: Annotated[str, typer.Argument(help="Its canonical id: lower case, words joined by _")],
    as_json: AsJson = False,
) -> None:
    """Copy the provider template; the conformance suite picks the copy up by its manifest."""
    made = copy_template(name, Path.cwd())
    emit({"files": [str(path) for path in made]}, as_json, lambda: _told(name, made))


def _told(name: str, made: list[Path]) -> None:
    for path in made:
        out.print(f"  {path}")
    out.print(f"Next: capture real answers into libs/providers/{name}/fixtures, then `make test`.")


def _draw(found: list[Json]) -> None:
    rows = [
        (one["id"], one["name"], one["status"], ", ".join(f["id"] for f in one["features"]), _ways(one))
        for one in found
    ]
    table(("id", "name", "status", "features", "connects by"), rows, "no provider is installed")


def _ways(provider: Json) -> str:
    return ", ".join(_way(way) for way in provider["connect"])


def _way(way: Json) -> str:
    if way["configured"]:
        return str(way["kind"])
    return f"{way['kind']} ({'set ' + ', '.join(way['missing']) if way['missing'] else 'planned'})"
