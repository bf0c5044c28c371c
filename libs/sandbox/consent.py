"""The page on which a person lets an application in, or does not: the same for every provider that plays OAuth."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from libs.sandbox.contract import Answer

HTML = "text/html; charset=utf-8"
# What a real provider says too: nobody frames a consent page, keeps it, or learns its address from a Referer.
GUARDED = {
    "content-type": HTML, "cache-control": "no-store", "referrer-policy": "no-referrer", "x-frame-options": "DENY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Consent:
    """`permissions` are names and meanings; `ticket` stands for everything that was asked, and is good for one post."""

    provider: str
    app: str
    account: str
    permissions: Sequence[tuple[str, str]]
    action: str
    ticket: str
    back: str


def consent_page(asked: Consent) -> Answer:
    """Two buttons post `ticket` and `decision` (authorize, cancel) to `action`."""
    rows = "".join(
        f"<li><code>{escape(name)}</code><span>{escape(meaning)}</span></li>" for name, meaning in asked.permissions
    )
    body = f"""<main>
<p class="marks"><b>{escape(asked.provider[:1])}</b><i></i><b class="app">{escape(asked.app[:1])}</b></p>
<h1>Authorize {escape(asked.app)}</h1>
<p class="who">It wants to act for the account <strong>{escape(asked.account)}</strong></p>
<ul>{rows or "<li><span>Public information only</span></li>"}</ul>
<form method="post" action="{escape(asked.action)}">
<input type="hidden" name="ticket" value="{escape(asked.ticket)}">
<button name="decision" value="authorize" class="yes">Authorize {escape(asked.app)}</button>
<button name="decision" value="cancel">Cancel</button>
</form>
<p class="back">You return to <b>{escape(origin_of(asked.back))}</b></p>
</main>
<footer>{escape(asked.provider)}, played by the sandbox on this machine: no real account is touched.</footer>"""
    # Browsers hold form-action also against the redirect that answers the post.
    return _page(f"Authorize {asked.app}", body, status=200, form=f"'self' {origin_of(asked.back)}")


def refusal_page(title: str, text: str, status: int) -> Answer:
    body = f"<main><h1>{escape(title)}</h1><p class='who'>{escape(text)}</p></main>"
    return _page(title, body, status=status, form="'none'")


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def sent_back(location: str) -> Answer:
    return Answer(302, headers={**GUARDED, "location": location})


def _page(title: str, body: str, *, status: int, form: str) -> Answer:
    nonce = secrets.token_urlsafe(16)
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style nonce="{nonce}">{STYLE}</style>'
        f"</head><body>\n{body}\n</body></html>\n"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action {form}; frame-ancestors 'none'; base-uri 'none'"
    )
    return Answer(status, text.encode(), {**GUARDED, "content-security-policy": policy})


STYLE = """
:root { color-scheme: light dark; --edge: #d0d7de; --soft: #57606a; --back: #f6f8fa; --card: #fff; --go: #1a7f37 }
@media (prefers-color-scheme: dark) { :root { --edge: #30363d; --soft: #9198a1; --back: #0d1117; --card: #161b22 } }
* { box-sizing: border-box }
body { margin: 0; padding: 5vh 16px; background: var(--back); font: 15px/1.5 system-ui, sans-serif; text-align: center }
main { max-width: 420px; margin: 0 auto; padding: 28px; background: var(--card); border: 1px solid var(--edge);
  border-radius: 12px }
h1 { font-size: 20px; margin: 8px 0 }
.who, .back, footer { color: var(--soft); font-size: 13px }
.marks { display: flex; justify-content: center; align-items: center; margin: 0 }
.marks b { width: 48px; height: 48px; border-radius: 50%; background: #24292f; color: #fff;
  font: 600 22px/48px system-ui }
.marks .app { background: #0969da }
.marks i { width: 56px; border-top: 2px dashed var(--edge) }
ul { list-style: none; margin: 20px 0; padding: 0; border: 1px solid var(--edge); border-radius: 8px; text-align: left }
li { display: flex; gap: 12px; padding: 10px 14px }
li + li { border-top: 1px solid var(--edge) }
li code { min-width: 86px; font-weight: 600 }
button { width: 100%; margin-top: 8px; padding: 10px; border: 1px solid var(--edge); border-radius: 8px;
  background: transparent; color: inherit; font: inherit; cursor: pointer }
.yes { background: var(--go); border-color: var(--go); color: #fff; font-weight: 600 }
footer { margin-top: 20px }
"""
