"""One call of the played API: who asks for what, and the few ways to answer in GitHub's manner."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.records import Issue, Switches, Token
from libs.providers.github.sandbox.world import Shelf, World
from libs.sandbox.contract import Answer, Request

DOCS = "https://docs.github.com/rest"
JSON = "application/json; charset=utf-8"


class Refused(Exception):
    """An error in GitHub's own shape; `more` is what some of them carry beside the message."""

    def __init__(self, status: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.more = more

    def answer(self) -> Answer:
        body = {"message": str(self), **self.more, "documentation_url": DOCS, "status": str(self.status)}
        return Answer(self.status, msgspec.json.encode(body))


def not_found() -> Refused:
    return Refused(404, "Not Found")


def invalid(resource: str, message: str, code: str = "custom", **more: object) -> Refused:
    error = {"resource": resource, "code": code, **more, "message": message}
    return Refused(422, "Validation Failed", errors=[error])


@dataclass(slots=True)
class Call:
    world: World
    request: Request
    token: Token | None
    params: Mapping[str, str] = field(default_factory=dict)
    found: Shelf | None = None

    @property
    def shelf(self) -> Shelf:
        if self.found is None:
            raise not_found()
        return self.found

    @property
    def switches(self) -> Switches:
        return self.world.switches

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.request.query, keep_blank_values=True))

    def issue(self) -> Issue:
        """The issue that the path names: 410 when it was deleted, 301 when it lives in another repository."""
        found = self.shelf.issues.get(int(self.params["number"]))
        if found is None:
            raise not_found()
        if found.moved_to:
            there, number = found.moved_to
            raise Moved(f"{shapes.API}/repositories/{there}/issues/{number}")
        if found.deleted:
            raise Refused(410, "This issue was deleted")
        return found

    def pull(self) -> Issue:
        found = self.issue()
        if found.pull is None:
            raise not_found()
        return found

    def wanted(self, *media: str) -> bool:
        """True when the Accept header asks for one of these media parameters (raw, sha)."""
        accept = self.request.headers.get("accept", "")
        return any(re.search(rf"\.{name}\b", accept) for name in media)

    def body(self) -> dict[str, Any]:
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as wrong:
            raise Refused(400, "Problems parsing JSON") from wrong


class Moved(Exception):
    """The thing lives elsewhere; reads are told 301, writes 307."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location

    def answer(self, method: str) -> Answer:
        status, words = (301, "Moved Permanently") if method == "GET" else (307, "Temporary Redirect")
        body = {"message": words, "url": self.location, "documentation_url": f"{DOCS}#http-redirects"}
        return Answer(status, msgspec.json.encode(body), {"location": self.location})


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    expression: re.Pattern[str]
    handler: Handler


def route(method: str, path: str, handler: Handler) -> Route:
    """`{number}` and `{id}` are digits, `{name}` one segment, `{name+}` the rest with slashes."""
    expression = re.sub(r"\{(number|id)\}", r"(?P<\1>\\d+)", path)
    expression = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", expression)
    return Route(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)), handler)


def ok(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, msgspec.json.encode(value), headers)


def raw(body: bytes, media: str) -> Answer:
    return Answer(200, body, {"content-type": media})
