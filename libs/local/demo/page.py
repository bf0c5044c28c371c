"""The page that the demo leaves at `/`: what was asked, what was answered, and what it measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from libs.local.client import Json
from libs.local.demo.hits import headings
from libs.local.demo.searches import Answered
from libs.local.endpoints import Endpoints
from libs.local.pages import start_page
from libs.local.state import State, write_private


def write_demo_page(
    state: State,
    endpoints: Endpoints,
    *,
    workspace: str,
    repository: str,
    counts: Mapping[str, int],
    answers: Sequence[Answered],
    figures: Mapping[str, float],
) -> None:
    """No secret stands in it: every account of the machine can read what loopback serves."""
    parts = [
        f"<p>Workspace <code>{escape(workspace)}</code> holds <code>{escape(repository)}</code>.</p>",
        _table("Synced", [(kind, f"{number:,}") for kind, number in counts.items()]),
        "<h2>Asked</h2>",
        *(_answered(endpoints, workspace, one) for one in answers),
        _table("Measured", [(name, f"{value:g}") for name, value in figures.items()]),
        _running(endpoints),
    ]
    write_private(state.pages / "index.html", start_page("\n".join(parts)).encode())


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>' for name, value in rows)
    return f"<h2>{escape(title)}</h2>\n<table>{body}</table>" if rows else ""


def _running(endpoints: Endpoints) -> str:
    places = {**endpoints.services, "broker": endpoints.kafka, "sandbox": endpoints.sandbox or "not started"}
    return _table("Running", list(places.items()))


def _answered(endpoints: Endpoints, workspace: str, one: Answered) -> str:
    body = msgspec.json.encode({"query": one.question.query, "filters": one.question.filters}).decode()
    call = (
        f"curl -s {endpoints.gateway}/v1/workspaces/{workspace}/search "
        f'-H "Authorization: Bearer $(cat .sluice/keys/api-key)" -H "Content-Type: application/json" -d \'{body}\''
    )
    hits = "\n".join(_hit(hit, hit is one.expected) for hit in one.hits)
    return f"<h3>{escape(one.question.query)}</h3>\n{hits}\n<pre>{escape(call)}</pre>"


def _hit(hit: Json, expected: bool) -> str:
    source = hit["source"]
    where = " › ".join(filter(None, [source["type"], headings(source["name"], hit["chunk"]["path"])]))
    kind = "hit expected" if expected else "hit"
    shown = "".join(f"<p>{_marked(one)}</p>" for one in hit["highlights"][:1])
    name = source["path"] or source["name"]
    return f'<div class="{kind}"><b>{escape(name)}</b> <small>{escape(where)}</small>{shown}</div>'


def _marked(highlight: Json) -> str:
    text, at, shown = highlight["text"], 0, ""
    for begin, end in highlight["ranges"]:
        shown += f"{escape(text[at:begin])}<mark>{escape(text[begin:end])}</mark>"
        at = end
    return shown + escape(text[at:])
