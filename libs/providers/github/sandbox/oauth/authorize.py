"""`/login/oauth/authorize`: who asks for what, the page that shows it, and the way back with a code or a refusal."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.oauth import scopes
from libs.providers.github.sandbox.oauth.grants import Code, Grants
from libs.providers.github.sandbox.records import App
from libs.sandbox.consent import Consent, consent_page, refusal_page, sent_back
from libs.sandbox.contract import Answer, Request

PATH = "/login/oauth/authorize"
LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256, RFC 7636
MOST_OPEN = 1000
# Docs: "Troubleshooting authorization request errors".
ERROR_URI = (
    "/apps/building-integrations/setting-up-and-registering-oauth-apps/troubleshooting-authorization-request-errors/#"
)
DENIED = "The user has denied your application access."
MISMATCH = "The redirect_uri MUST match the registered callback URL for this application."


@dataclass(frozen=True, slots=True)
class Asked:
    app: App
    redirect_uri: str
    scopes: list[str]
    state: str
    challenge: str | None
    account: str
    expires_at: float


class Decision(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a driver of the sandbox decides beforehand: `account` holds, the other two are for the next consent."""

    account: str | None = None
    scopes: list[str] | None = None
    deny: bool = False


class Consents:
    """The open consent pages. Nothing of a request is kept once it is answered, and no page is good twice."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._open: OrderedDict[str, Asked] = OrderedDict()
        self._next = Decision()
        self._account = shapes.GENERATOR
        self._told = {"shown": 0, "authorized": 0, "denied": 0}

    def decide(self, decision: Decision) -> dict[str, object]:
        self._next = decision
        self._account = decision.account or self._account
        return self.told()

    def told(self) -> dict[str, object]:
        return {"account": self._account, "open": len(self._open), **self._told}

    # the two requests

    def show(self, request: Request) -> Answer:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        app = self._grants.app(query.get("client_id", ""))
        if app is None:
            return refusal_page("Not found", "No application has this client_id.", 404)
        wanted = self._redirect_uri(query)
        if wanted is None:
            return self._mismatch(query)
        if not _challenged_well(query):
            return _refused(wanted, query, "invalid_request", "code_challenge_method must be S256.")
        asked = self._asked(app, wanted, query)
        if self._grants.world.switches.remember_consent and self._known(asked):
            return self._authorized(asked)
        return self._page(asked, request.origin)

    def answer(self, request: Request) -> Answer:
        """The form's post: a ticket that is unknown, used or too old says so and nothing happens."""
        form = dict(parse_qsl(request.body.decode("latin-1")))
        asked = self._open.pop(form.get("ticket", ""), None)
        if asked is None or asked.expires_at < time.time():
            return refusal_page("Too late", "This page was answered already, or stood open for too long.", 422)
        if form.get("decision") != "authorize" or self._next.deny:
            self._next.deny = False
            self._told["denied"] += 1
            return _refused(asked.redirect_uri, {"state": asked.state}, "access_denied", DENIED)
        return self._authorized(asked)

    def _page(self, asked: Asked, origin: str) -> Answer:
        ticket = secrets.token_urlsafe(32)
        self._open[ticket] = asked
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        self._told["shown"] += 1
        permissions = [(scope, scopes.MEANINGS[scope]) for scope in asked.scopes]
        return consent_page(
            Consent(
                provider="GitHub", app=asked.app.name, account=asked.account, permissions=permissions,
                action=f"{origin}{PATH}", ticket=ticket, back=asked.redirect_uri,
            )
        )  # fmt: skip

    def _asked(self, app: App, redirect_uri: str, query: Mapping[str, str]) -> Asked:
        """A scope that is left out asks for whatever this person ever granted."""
        named = scopes.asked(query.get("scope", ""))
        wanted = named or self._grants.ever_granted(app.client_id, self._account)
        return Asked(
            app=app, redirect_uri=redirect_uri, scopes=scopes.normalised(wanted), state=query.get("state", ""),
            challenge=query.get("code_challenge") or None, account=self._account,
            expires_at=time.time() + self._grants.world.switches.code_seconds,
        )  # fmt: skip

    def _authorized(self, asked: Asked) -> Answer:
        fewer, self._next.scopes = self._next.scopes, None
        granted = asked.scopes if fewer is None else [scope for scope in asked.scopes if scope in fewer]
        code = self._grants.give_code(
            Code(
                client_id=asked.app.client_id, redirect_uri=asked.redirect_uri, challenge=asked.challenge,
                login=asked.account, scopes=granted,
                expires_at=time.time() + self._grants.world.switches.code_seconds,
            )
        )  # fmt: skip
        self._told["authorized"] += 1
        return sent_back(_with(asked.redirect_uri, {"code": code, "state": asked.state}))

    def _known(self, asked: Asked) -> bool:
        held = [scope for token in self._grants.of(asked.app.client_id, asked.account) for scope in token.scopes]
        return bool(held) and scopes.covers(held, asked.scopes)

    # where the way back leads

    def _redirect_uri(self, query: Mapping[str, str]) -> str | None:
        """The given one if it may be used, else the registered one; with none registered any page on loopback."""
        registered, given = self._grants.world.switches.callback_urls, query.get("redirect_uri", "")
        if not given:
            return registered[0] if registered else None
        if registered:
            return given if any(_belongs(given, url) for url in registered) else None
        return given if _origin(given)[1] in LOOPBACK else None

    def _mismatch(self, query: Mapping[str, str]) -> Answer:
        registered = self._grants.world.switches.callback_urls
        if not registered:
            return refusal_page("Wrong redirect_uri", "The sandbox sends nobody away from this machine.", 422)
        return _refused(registered[0], query, "redirect_uri_mismatch", MISMATCH)


def _challenged_well(query: Mapping[str, str]) -> bool:
    challenge = query.get("code_challenge", "")
    return not challenge or (query.get("code_challenge_method") == "S256" and bool(CHALLENGE.fullmatch(challenge)))


def _refused(redirect_uri: str, query: Mapping[str, str], error: str, description: str) -> Answer:
    told = {"error": error, "error_description": description, "error_uri": ERROR_URI + error.replace("_", "-")}
    return sent_back(_with(redirect_uri, {**told, "state": query.get("state", "")}))


def _with(redirect_uri: str, parameters: Mapping[str, str]) -> str:
    """The page's own query is kept as it stands."""
    given = urlencode({name: value for name, value in parameters.items() if value})
    return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{given}"


def _belongs(given: str, registered: str) -> bool:
    """Docs, "Redirect URLs": host and port exactly, the path below the registered one; on 127.0.0.1 any port."""
    scheme, host, port = _origin(given)
    own_scheme, own_host, own_port = _origin(registered)
    same = (scheme, host) == (own_scheme, own_host) and (port == own_port or host in ("127.0.0.1", "[::1]"))
    path, own = urlsplit(given).path or "/", urlsplit(registered).path or "/"
    below = path == own or path.startswith(own if own.endswith("/") else f"{own}/")
    return same and below and "/../" not in f"{path}/"


def _origin(url: str) -> tuple[str, str, int | None]:
    """("", "", None) for what is no http address or hides a user in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or "#" in url or "\\" in url:
        return "", "", None
    host = parts.hostname or ""
    return parts.scheme, f"[{host}]" if ":" in host else host, port or {"http": 80, "https": 443}[parts.scheme]
