"""The page at `/` of the front door: a person who opens the printed address finds the API documents."""

from __future__ import annotations

from libs.local.state import SERVICES, State

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881 }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 52rem; margin: 3rem auto; padding: 0 1.2rem }
h1 { margin: 0 } h2 { margin: 2.2rem 0 .4rem; font-size: 1.1rem }
.what { opacity: .75; margin-top: .2rem } code, pre { font-family: ui-monospace, monospace; font-size: .88em }
table { border-collapse: collapse } td, th { padding: .15rem 1.4rem .15rem 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.hit { border-left: 3px solid var(--line); padding: .1rem 0 .1rem .9rem; margin: .7rem 0 }
.hit small { opacity: .7 } .hit p { margin: .1rem 0; overflow-wrap: anywhere } .hit.expected { border-color: #2a8 }
mark { background: #fd06; color: inherit; border-radius: 2px } 
pre { background: var(--soft); padding: .7rem; overflow: auto }
""".strip()
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sluice</title>
<style>{style}</style></head>
<body>
<h1>Sluice</h1>
<p class="what">Keeps a faithful, searchable copy of the tools where work lives.</p>
{body}
<h2>API documents</h2>
<ul>
{links}
</ul>
<p>Errors and routes are described in them; every call takes <code>Authorization: Bearer</code> with the key in
<code>.sluice/keys/api-key</code>.</p>
</body>
</html>
"""


def start_page(body: str = "") -> str:
    links = "\n".join(f'<li><a href="/openapi/{name}">{name}</a></li>' for name in SERVICES)
    return PAGE.format(style=STYLE, body=body, links=links)


def write_start_page(state: State) -> None:
    """Only if there is none: whoever has something better to show has written its own."""
    page = state.pages / "index.html"
    if not page.exists():
        page.write_text(start_page())
