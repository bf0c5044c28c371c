"""OAuth both ways: through Sluice's popup page, and through a callback page of the application's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from libs.local.client import Control, Gateway, Json, Told
from libs.local.demo.popup import posted
from libs.local.demo.visitor import Visitor
from libs.local.demo.wanted import SUBJECT

ORIGIN = "http://localhost:5173"
# The application's own page: the address comes back byte for byte, with code and state behind it.
OWN_PAGE = f"{ORIGIN}/auth-callback?provider=GitHub"
Begin = Callable[[Json], Json]


@dataclass(frozen=True)
class Consented:
    """What a flow led to, and what it took: seconds, redirects of the browser, token requests at the provider."""

    integration: Json
    seconds: float
    redirects: int
    token_requests: int


def through_popup(door: Gateway, control: Control, begin: Begin) -> Consented:
    """The page that the popup ends on posts a handle to the opener's origin alone; the opener completes."""

    def complete(visitor: Visitor) -> Json:
        attempt = begin({"redirectUrl": f"{ORIGIN}/integrations", "subject": SUBJECT, "callback": "sluice"})
        told = posted(visitor.consent(attempt["authorizationUrl"]).text)
        if told.origin != ORIGIN:
            raise Told(f"The popup speaks to {told.origin}, not to {ORIGIN} alone.")
        if told.message != {**told.message, "source": "sluice", "attemptId": attempt["attemptId"]}:
            raise Told("The popup speaks of another attempt.")
        if set(told.message) != {"source", "attemptId", "handle"}:
            raise Told(f"The popup's message holds {', '.join(sorted(told.message))}.")
        handed = {"attemptId": attempt["attemptId"], "handle": told.message["handle"]}
        return door.post("/v1/oauth/complete", {**handed, "subject": SUBJECT})

    return _measured(control, complete)


def through_own_page(door: Gateway, control: Control, begin: Begin) -> Consented:
    """The provider sends the browser to the application's page, which hands code and state over."""

    def complete(visitor: Visitor) -> Json:
        attempt = begin({"redirectUrl": f"{ORIGIN}/integrations", "subject": SUBJECT, "callback": "application"})
        back = visitor.consent(attempt["authorizationUrl"], back=OWN_PAGE).headers.get("location", "")
        if not back.startswith(f"{OWN_PAGE}&"):
            raise Told(f"The provider did not send the browser to {OWN_PAGE}.")
        query = dict(parse_qsl(urlsplit(back).query))
        return door.post("/v1/oauth/complete", {"code": query["code"], "state": query["state"], "subject": SUBJECT})

    return _measured(control, complete)


def _measured(control: Control, complete: Callable[[Visitor], Json]) -> Consented:
    began, before = time.monotonic(), control.ask("GET", "token-requests")["total"]
    with Visitor() as visitor:
        integration = complete(visitor)
    asked = control.ask("GET", "token-requests")["total"] - before
    return Consented(integration, time.monotonic() - began, visitor.hops, asked)
