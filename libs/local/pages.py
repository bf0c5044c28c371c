"""The page at `/` of the front door: a person who opens the printed address finds the API documents."""

from libs.local.state import SERVICES, State

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice</title>
<h1>Sluice</h1>
<p>The API documents of the services:</p>
<ul>
{links}
</ul>
</html>
"""


def write_start_page(state: State) -> None:
    """Only if there is none: whoever has something better to show has written its own."""
    page = state.pages / "index.html"
    if not page.exists():
        page.write_text(PAGE.format(links="\n".join(f'<li><a href="/openapi/{name}">{name}</a>' for name in SERVICES)))
