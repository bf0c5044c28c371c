"""The page that a popup ends on: it tells its opener, at one exact origin, and closes."""

from __future__ import annotations

import secrets
from html import escape
from urllib.parse import urlencode

import msgspec

from services.auth.use_cases.oauth.park import Told

HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%(title)s</title>
<style nonce="%(nonce)s">
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff; margin: 0; display: grid;
  place-items: center; min-height: 100vh; }
main { max-width: 26rem; padding: 2rem; }
h1 { font-size: 1.25rem; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; } }
</style>
</head>
<body>
<main><h1>%(title)s</h1><p>%(text)s</p></main>
%(script)s</body>
</html>
"""
# Without an opener the flow ran in this very tab: its page gets the message in the fragment, which no server sees.
SCRIPT = """<script nonce="%(nonce)s">
const told = %(told)s;
if (window.opener) {
  window.opener.postMessage(told.message, told.origin);
  window.close();
} else {
  window.location.replace(told.back);
}
</script>
"""


def telling_page(told: Told) -> tuple[str, dict[str, str]]:
    """(HTML, headers). No secret is in it: the handle is worth nothing to anyone but whoever began."""
    message = {"source": "sluice", "attemptId": told.attempt_id}
    message |= {"error": told.error} if told.error else {"handle": told.handle}
    back = {name: value for name, value in message.items() if name != "source"}
    content = {"message": message, "origin": told.origin, "back": f"{told.redirect_url}#{urlencode(back)}"}
    title = "Nothing was connected" if told.error else "Almost done"
    return _page(title, "You can close this window.", SCRIPT, content)


def refusing_page(title: str, detail: str) -> tuple[str, dict[str, str]]:
    """Tells the person at the browser; there is nobody else to tell."""
    text = "Close this window and start again." if detail == title else f"{detail}. Close this window and start again."
    return _page(title, text, "", None)


def _page(title: str, text: str, script: str, content: object) -> tuple[str, dict[str, str]]:
    nonce = secrets.token_urlsafe(16)
    filled = script % {"nonce": nonce, "told": _inside_script(content)} if script else ""
    html = HTML % {"nonce": nonce, "title": escape(title), "text": escape(text), "script": filled}
    return html, _headers(nonce)


def _headers(nonce: str) -> dict[str, str]:
    """`unsafe-none` keeps window.opener, which the message needs; nobody may frame the page, and nothing is kept."""
    return {
        "content-security-policy": (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "unsafe-none",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


def _inside_script(content: object) -> str:
    """JSON that cannot end the element it stands in, nor a line of JavaScript."""
    text = msgspec.json.encode(content).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
