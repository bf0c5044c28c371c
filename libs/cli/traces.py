"""One change from delivery to index, drawn as a tree of spans with their times."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from libs.cli.asking import DEFAULT, AsJson, Workspace
from libs.cli.screen import emit, out
from libs.common.telemetry.spans import SpanLine
from libs.local.client import Gateway, Json, Told
from libs.local.spans import children_of, read_spans, trace_of
from libs.local.state import find_root

COLOURS = {"auth": "magenta", "webhooks": "yellow", "sync": "cyan", "chunker": "green"}
SHOWN = (
    "delivery_id",
    "topic",
    "run_id",
    "source_id",
    "cause",
    "http.route",
    "http.response.status_code",
    "error.type",
)
# Services write their spans every quarter of a second.
PATIENCE = 1.0


def trace(
    key: Annotated[str, typer.Argument(help="A delivery, run, source, event or trace id.")],
    workspace: Workspace = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show the spans of one trace through the services."""
    root = find_root()
    spans = _found(root, key) or _found(root, _trace_of_delivery(root, workspace, key))
    if not spans:
        raise Told(
            f"No span carries {key}.", "Give the id of a delivery, a run, a source or a trace of this installation."
        )
    emit(as_data(spans), as_json, lambda: _draw(spans))


def _found(root: Path, key: str) -> list[SpanLine]:
    """A little later once more: the last spans of a fresh change may still be in memory."""
    if not key:
        return []
    spans = trace_of(read_spans(root / ".sluice" / "traces"), key)
    if spans and time.time() - spans[-1].end / 1e9 < PATIENCE:
        time.sleep(PATIENCE)
        spans = trace_of(read_spans(root / ".sluice" / "traces"), key)
    return spans


def _trace_of_delivery(root: Path, workspace: str, key: str) -> str:
    """The provider's own id of a delivery stands in no span: the services know which trace it began."""
    try:
        with Gateway.of(root) as door:
            for one in door.pages(f"/v1/workspaces/{workspace}/integrations"):
                for delivery in door.get(f"/v1/integrations/{one['id']}/deliveries")["items"]:
                    if key in (delivery["deliveryKey"], delivery["id"]):
                        return delivery.get("traceId") or ""
    except Told:
        return ""  # nothing runs: the files alone answer
    return ""


def as_data(spans: Sequence[SpanLine]) -> Json:
    first = min(one.start for one in spans)
    return {
        "traceId": spans[0].trace_id,
        "services": sorted({one.service for one in spans}),
        "milliseconds": round((max(one.end for one in spans) - first) / 1e6, 1),
        "spans": [_span(one, first) for one in spans],
    }


def _span(one: SpanLine, first: int) -> Json:
    return {
        "spanId": one.span_id, "parentSpanId": one.parent_span_id, "service": one.service, "name": one.name,
        "kind": one.kind, "status": one.status, "startMs": round((one.start - first) / 1e6, 1),
        "milliseconds": round((one.end - one.start) / 1e6, 1), "attributes": one.attributes, "links": one.links,
    }  # fmt: skip


def _draw(spans: Sequence[SpanLine]) -> None:
    data = as_data(spans)
    tree = Tree(f"[bold]trace {data['traceId']}[/bold]  {data['milliseconds']} ms, {', '.join(data['services'])}")
    _grow(tree, None, children_of(spans), min(one.start for one in spans))
    out.print(tree)


def _grow(branch: Tree, parent: str | None, children: Mapping[str | None, list[SpanLine]], first: int) -> None:
    for one in children.get(parent, []):
        _grow(branch.add(_line(one, first)), one.span_id, children, first)


def _line(one: SpanLine, first: int) -> str:
    colour = COLOURS.get(one.service, "white")
    failed = " [red]failed[/red]" if one.status == "error" else ""
    said = " ".join(f"{name}={one.attributes[name]}" for name in SHOWN if name in one.attributes)
    at, took = (one.start - first) / 1e6, (one.end - one.start) / 1e6
    return (
        f"[{colour}]{one.service:<8}[/{colour}] {escape(one.name)} [bold]{took:.1f} ms[/bold]"
        f" [dim]at {at:.0f} ms  {escape(said)}[/dim]{failed}"
    )
