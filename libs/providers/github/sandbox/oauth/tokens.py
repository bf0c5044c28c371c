"""`/login/oauth/access_token`: a code for a token; every refusal is HTTP 200 with `error`, as GitHub does it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from libs.providers.github.sandbox.oauth.grants import Code, Grants
from libs.sandbox.contract import Answer, Request

PATH = "/login/oauth/access_token"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/json; charset=utf-8"
SHOWN, GIVEN = ("client_secret", "code", "code_verifier"), ("access_token",)
ERROR_URI = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#"
# Docs: "Troubleshooting OAuth app access token request errors".
DESCRIPTIONS = {
    "incorrect_client_credentials": "The client_id and/or client_secret passed are incorrect.",
    "redirect_uri_mismatch": "The redirect_uri MUST match the registered callback URL for this application.",
    "bad_verification_code": "The code passed is incorrect or expired.",
    "unverified_user_email": "The user must have a verified primary email.",
    "unsupported_grant_type": "This application has no such grant.",
}


class Turned(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """One token request and what came of it: `issued`, or the error. What was shown and given only by a switch."""

    seq: int
    time: float
    client_id: str
    outcome: str
    secrets: dict[str, str] = {}


class TokenEndpoint:
    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._asked: list[Turned] = []

    def answer(self, request: Request) -> Answer:
        form = _form(request)
        outcome = self._exchange(form)
        self._note(form, outcome)
        headers = {"cache-control": "no-store"}
        if "json" in request.headers.get("accept", ""):
            return Answer(200, msgspec.json.encode(outcome), {"content-type": JSON, **headers})
        return Answer(200, urlencode(outcome).encode(), {"content-type": FORM, **headers})

    def _note(self, form: Mapping[str, str], outcome: Mapping[str, str]) -> None:
        kept = {name: form[name] for name in SHOWN if name in form} | {n: outcome[n] for n in GIVEN if n in outcome}
        self._asked.append(
            Turned(
                seq=len(self._asked) + 1, time=round(time.time(), 3), client_id=form.get("client_id", ""),
                outcome=outcome.get("error", "issued"),
                secrets=kept if self._grants.world.switches.keep_secrets else {},
            )
        )  # fmt: skip

    def asked(self, since: int) -> dict[str, object]:
        return {"items": [it for it in self._asked if it.seq > since], "total": len(self._asked)}

    def _exchange(self, form: Mapping[str, str]) -> dict[str, str]:
        app = self._grants.proven(form.get("client_id", ""), form.get("client_secret", ""))
        if app is None:
            return _error("incorrect_client_credentials")
        if form.get("grant_type", "authorization_code") != "authorization_code":
            return _error("unsupported_grant_type")
        text = form.get("code", "")
        code = self._grants.look(text)
        if code is None or code.client_id != app.client_id:
            return _error("bad_verification_code")
        refused = self._refused(code, form)
        if refused is None or self._grants.world.switches.burn_refused_codes:
            self._grants.burn(text)
        return refused or _told(self._grants, code)

    def _refused(self, code: Code, form: Mapping[str, str]) -> dict[str, str] | None:
        """What is bound to the code must come back with it."""
        switches = self._grants.world.switches
        given = form.get("redirect_uri", "" if switches.redirect_uri_required else code.redirect_uri)
        if given != code.redirect_uri:
            return _error("redirect_uri_mismatch")
        if code.challenge and _challenge(form.get("code_verifier", "")) != code.challenge:
            return _error("bad_verification_code")
        return None if switches.verified_email else _error("unverified_user_email")


def _told(grants: Grants, code: Code) -> dict[str, str]:
    token = grants.issue(code)
    return {"access_token": token.token, "scope": ",".join(token.scopes), "token_type": "bearer"}


def _error(code: str) -> dict[str, str]:
    uri = ERROR_URI + code.replace("_", "-")
    return {"error": code, "error_description": DESCRIPTIONS[code], "error_uri": uri}


def _challenge(verifier: str) -> str:
    """RFC 7636, section 4.2: S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _form(request: Request) -> dict[str, str]:
    """GitHub reads a form, JSON, or the query."""
    if "json" in request.headers.get("content-type", ""):
        try:
            body: Any = msgspec.json.decode(request.body)
        except msgspec.DecodeError:
            return {}
        return {name: value for name, value in body.items() if isinstance(value, str)} if isinstance(body, dict) else {}
    return dict(parse_qsl(request.query)) | dict(parse_qsl(request.body.decode("latin-1")))
