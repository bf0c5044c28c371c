"""The OAuth side of the played GitHub as one thing: which path goes where, and its control routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from libs.providers.github.sandbox.oauth import authorize, tokens
from libs.providers.github.sandbox.oauth.applications import administer
from libs.providers.github.sandbox.oauth.authorize import Consents, Decision
from libs.providers.github.sandbox.oauth.grants import CLIENT_ID, Grants
from libs.providers.github.sandbox.oauth.tokens import TokenEndpoint
from libs.providers.github.sandbox.world import World
from libs.sandbox.consent import refusal_page
from libs.sandbox.contract import Answer, Control, ControlRefused, Request

PREFIX = "/login/oauth/"
APPLICATIONS = "/api/applications/"


class OAuth:
    def __init__(self, world: World) -> None:
        self.grants = Grants(world)
        self.consents = Consents(self.grants)
        self.tokens = TokenEndpoint(self.grants)

    def answer(self, request: Request) -> Answer:
        """What lies at the web address, outside the REST interface and its budget."""
        match request.method, request.path:
            case "GET", authorize.PATH:
                return self.consents.show(request)
            case "POST", authorize.PATH:
                return self.consents.answer(request)
            case "POST", tokens.PATH:
                return self.tokens.answer(request)
        return refusal_page("Not found", "Nothing answers here.", 404)

    def administer(self, request: Request) -> Answer:
        return administer(self.grants, request)

    def controls(self) -> Mapping[str, Callable[[Control], object]]:
        return {
            "GET app": lambda _: self._app(),
            "GET consent": lambda _: self.consents.told(),
            "POST consent": lambda call: self.consents.decide(msgspec.convert(call.body, Decision)),
            "POST expire-codes": lambda _: {"expired": self.grants.forget_codes()},
            "GET token-requests": lambda call: self.tokens.asked(_number(call.query.get("since", "0"))),
        }

    def _app(self) -> dict[str, str]:
        app = self.grants.world.apps[CLIENT_ID]
        return {"clientId": app.client_id, "clientSecret": app.client_secret, "name": app.name}


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ControlRefused("since is not a number")
    return int(text)
