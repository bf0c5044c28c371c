"""`/applications/{client_id}/…`: an application looks at its tokens, or gives one or a whole grant back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.call import Refused, not_found, ok
from libs.providers.github.sandbox.oauth.grants import Grants
from libs.providers.github.sandbox.records import App, Token
from libs.sandbox.contract import Answer, Request

PATH = re.compile(r"/api/applications/([^/]+)/(token|grant)")


def administer(grants: Grants, request: Request) -> Answer:
    """Basic authentication by the application itself; a token that is not its living own is 404."""
    match = PATH.fullmatch(request.path)
    app = _application(grants, request)
    if match is None or match[1] != app.client_id:
        raise not_found()
    token = _token(grants, app, request)
    if (request.method, match[2]) == ("POST", "token"):
        return ok(_authorization(app, token))
    if request.method != "DELETE":
        raise not_found()
    grants.revoke(*(grants.of(app.client_id, token.login) if match[2] == "grant" else [token]))
    return Answer(204)


def _application(grants: Grants, request: Request) -> App:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as wrong:
        raise Refused(401, "Bad credentials") from wrong
    app = grants.proven(client_id, secret) if kind.lower() == "basic" else None
    if app is None:
        raise Refused(401, "Bad credentials")
    return app


def _token(grants: Grants, app: App, request: Request) -> Token:
    try:
        body = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as wrong:
        raise Refused(400, "Problems parsing JSON") from wrong
    text = body.get("access_token")
    if not isinstance(text, str) or not text:
        raise Refused(422, 'Invalid request.\n\n"access_token" wasn\'t supplied.')
    found = grants.world.tokens.get(text)
    if found is None or found.client_id != app.client_id or found.state != "active":
        raise not_found()
    return found


def _authorization(app: App, token: Token) -> dict[str, Any]:
    moment = shapes.iso(token.created_at)
    return {
        "id": token.id, "url": f"{shapes.API}/authorizations/{token.id}", "token": token.token,
        "token_last_eight": token.token[-8:], "hashed_token": hashlib.sha256(token.token.encode()).hexdigest(),
        "app": {"client_id": app.client_id, "name": app.name, "url": f"{shapes.ORIGIN}/apps/{app.client_id}"},
        "scopes": token.scopes, "note": None, "note_url": None, "fingerprint": None, "expires_at": None,
        "created_at": moment, "updated_at": moment, "user": shapes.user(token.login),
    }  # fmt: skip
